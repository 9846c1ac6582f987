"""The residual sum and its normalisation on NVIDIA GPUs in one kernel, as a torch custom operator.

Plain PyTorch reads and writes the float32 residual stream twice as often: it is a tenth of a training step.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mamba_narrative.cuda import dropout, elements, runtime
from mamba_narrative.model.dropout import Site
from mamba_narrative.model.scan.dispatch import resolve_backend
from mamba_narrative.model.scan.kernels import norm

_WARPS = 4
_BLOCKS_PER_PROCESSOR = 4
MAX_WIDTH = 2048
"""Wider rows do not stay in registers."""
EPSILON = 1e-5

_PARAMETERS = runtime.Struct(
    pointers=("x", "weight", "dx_later", "update", "dnormed", "draw", "sum", "dx", "dweight", "normed", "dupdate"),
    rows=(),
    sizes=("rows", "blocks", "length", "site", "dropped"),
    factors=("scale",),
)
"""The structure ``Params`` of the kernels."""


def add_norm(
    x: Tensor, update: Tensor | None, weight: Tensor, dtype: torch.dtype, backend: str, site: Site | None = None
) -> tuple[Tensor, Tensor] | None:
    """``s = x + update`` and ``s / sqrt(mean(s^2) + 1e-5) * weight`` in ``dtype``; returns the latter and ``s``.

    x: float32 [..., width]; update: [..., width] or None for zeros; weight: [width]; dtype: bfloat16 or float32;
    backend: that of the scan; site: where values of the update are dropped, which is [batch, length, width] then. None
    for other sizes and types, and where the backend is not ``cuda``.
    """
    width = x.shape[-1]
    if (
        resolve_backend(backend, x.device) != "cuda"
        or {x.dtype, weight.dtype} != {torch.float32}
        or dtype not in (torch.bfloat16, torch.float32)
        or width % 128 != 0
        or width > MAX_WIDTH
    ):
        return None
    types = {dtype} if update is None else {dtype, update.dtype}
    # The update comes, and its gradient goes, in the narrow type.
    narrow = torch.bfloat16 in types
    if update is not None:
        update = update.to(torch.bfloat16 if narrow else torch.float32).contiguous()
    drop = (None, 0, 0) if site is None or update is None else (site.draw, site.number, site.dropped_levels)
    normed, total = torch.ops.mamba_narrative.add_rms_norm(x.contiguous(), update, weight, narrow, *drop)
    return normed.to(dtype), x if update is None else total


@cache
def _module(width: int, bfloat16: bool, has_update: bool, has_later: bool, drops: bool, device: int) -> runtime.Module:
    macros = {"BF16": bfloat16, "D_MODEL": width, "DROPS": drops, "HAS_LATER": has_later, "HAS_UPDATE": has_update}
    named = tuple((name, int(value)) for name, value in {**macros, "WARPS": _WARPS}.items())
    return runtime.Module(elements.SOURCE + dropout.SOURCE + norm.SOURCE, named, device)


def _launch(name: str, blocks: int, bfloat16: bool, tensors: dict[str, Tensor | None], site: int, dropped: int) -> None:
    x = tensors["x"]
    assert x is not None
    width, length = x.shape[-1], x.shape[-2] if x.ndim > 1 else 1
    named = ("dx_later", "draw")
    has = tensors.get("update", tensors.get("dupdate")) is not None, *(tensors.get(one) is not None for one in named)
    kernel = _module(width, bfloat16, *has, x.device.index).kernel(name)
    sizes = {"rows": x.numel() // width, "blocks": blocks, "length": length}
    parameters = _PARAMETERS.pack(tensors, {**sizes, **dropout.factors(site, dropped)})
    kernel.launch((blocks, 1, 1), 32 * _WARPS, parameters, torch.cuda.current_stream(x.device).cuda_stream)


@torch.library.custom_op(
    "mamba_narrative::add_rms_norm",
    mutates_args=(),
    device_types="cuda",
    schema="(Tensor x, Tensor? update, Tensor weight, bool bfloat16, Tensor? draw, int site, int dropped)"
    " -> (Tensor, Tensor)",
)
def _forward_op(
    x: Tensor, update: Tensor | None, weight: Tensor, bfloat16: bool, draw: Tensor | None, site: int, dropped: int
) -> tuple[Tensor, Tensor]:
    normed = torch.empty(x.shape, dtype=torch.bfloat16 if bfloat16 else torch.float32, device=x.device)
    total = x.new_empty(0) if update is None else torch.empty_like(x)
    if x.numel():
        tensors = {"x": x, "update": update, "weight": weight, "draw": draw, "normed": normed, "sum": total}
        _launch("norm_forward", -(-x.numel() // x.shape[-1] // _WARPS), bfloat16, tensors, site, dropped)
    return normed, total


@_forward_op.register_fake
def _(
    x: Tensor, update: Tensor | None, weight: Tensor, bfloat16: bool, draw: Tensor | None, site: int, dropped: int
) -> tuple[Tensor, Tensor]:
    normed = torch.empty(x.shape, dtype=torch.bfloat16 if bfloat16 else torch.float32, device=x.device)
    return normed, x.new_empty(0) if update is None else torch.empty_like(x)


@torch.library.custom_op(
    "mamba_narrative::add_rms_norm_backward",
    mutates_args=(),
    device_types="cuda",
    schema="(Tensor total, Tensor weight, Tensor dnormed, Tensor? dtotal, bool has_update, Tensor? draw, int site,"
    " int dropped) -> (Tensor, Tensor, Tensor)",
)
def _backward_op(
    total: Tensor,
    weight: Tensor,
    dnormed: Tensor,
    dtotal: Tensor | None,
    has_update: bool,
    draw: Tensor | None,
    site: int,
    dropped: int,
) -> tuple[Tensor, Tensor, Tensor]:
    width = total.shape[-1]
    dx = torch.empty_like(total)
    dupdate = torch.empty_like(dnormed) if has_update else dnormed.new_empty(0)
    processors = torch.cuda.get_device_properties(total.device).multi_processor_count
    blocks = max(1, min(_BLOCKS_PER_PROCESSOR * processors, -(-total.numel() // width // _WARPS)))
    dweight = total.new_empty(blocks, width)
    inputs = {"x": total, "weight": weight, "dnormed": dnormed, "dx_later": dtotal, "draw": draw}
    outputs = {"dx": dx, "dupdate": dupdate if has_update else None, "dweight": dweight}
    _launch("norm_backward", blocks, dnormed.dtype == torch.bfloat16, {**inputs, **outputs}, site, dropped)
    return dx, dupdate, dweight.sum(0)


@_backward_op.register_fake
def _(
    total: Tensor, weight: Tensor, dnormed: Tensor, dtotal: Tensor | None, has_update: bool, *drop: Any
) -> tuple[Tensor, Tensor, Tensor]:
    dupdate = torch.empty_like(dnormed) if has_update else dnormed.new_empty(0)
    return torch.empty_like(total), dupdate, torch.empty_like(weight)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, update, weight, _, draw, ctx.site, ctx.dropped = inputs
    ctx.has_update = update is not None
    ctx.save_for_backward(x if update is None else output[1], weight, draw)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dnormed: Tensor | None, dtotal: Tensor | None) -> tuple[Tensor | None, ...]:
    total, weight, draw = ctx.saved_tensors
    if dnormed is None:
        dnormed = torch.zeros_like(total)
    dx, dupdate, dweight = torch.ops.mamba_narrative.add_rms_norm_backward(
        total,
        weight,
        dnormed.contiguous(),
        None if dtotal is None or not ctx.has_update else dtotal.contiguous(),
        ctx.has_update,
        draw,
        ctx.site,
        ctx.dropped,
    )
    return dx, dupdate if ctx.has_update else None, dweight, None, None, None, None


_forward_op.register_autograd(_differentiate, setup_context=_save_for_backward)
