"""The causal convolution on NVIDIA GPUs: kernels compiled at run time, as torch custom operators."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mamba_narrative.cuda import elements, runtime
from mamba_narrative.model.scan.inputs import aligned, padded, widened
from mamba_narrative.model.scan.kernels import convolution

WIDTHS = (2, 3, 4)
_CHANNELS_PER_THREAD, _THREADS = 4, 128
_TILE_FORWARD, _TILE_BACKWARD = 64, 128
"""Steps that a thread walks."""

_PARAMETERS = runtime.Struct(
    pointers=("x", "dy", "window", "weight", "bias", "resets", "y", "dx", "dwindow", "dweight"),
    rows=("x", "dy", "dx"),
    sizes=("batch", "length", "channels", "tile"),
)
"""The structure ``Params`` of the kernels."""


def cuda_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Tensor | None, resets: Tensor | None, silu: bool
) -> Tensor:
    """The outputs of ``convolution.causal_conv``, for widths in ``WIDTHS``; bfloat16 or float32 as ``x`` is.

    Other types of ``x`` are computed in float32.
    """
    channels = x.shape[2]
    dtype = x.dtype if x.dtype in (torch.bfloat16, torch.float32) else torch.float32
    more = -channels % _CHANNELS_PER_THREAD
    y = torch.ops.mamba_narrative.causal_conv(
        widened(x, dtype, more),
        padded(weight.float(), 0, more),
        None if bias is None else padded(bias.float(), more),
        None if window is None else padded(window.to(dtype), more),
        None if resets is None else resets.contiguous(),
        silu,
    )
    return (y[..., :channels] if more else y).to(x.dtype)


@cache
def _module(macros: tuple[tuple[str, int], ...], device: int) -> runtime.Module:
    return runtime.Module(elements.SOURCE + convolution.SOURCE, macros, device)


def _launch(name: str, tile: int, silu: bool, tensors: dict[str, Tensor | None]) -> None:
    x, weight = tensors["x"], tensors["weight"]
    assert x is not None
    assert weight is not None
    batch, length, channels = x.shape
    macros = (
        ("BF16", int(x.dtype == torch.bfloat16)),
        ("HAS_RESETS", int(tensors["resets"] is not None)),
        ("SILU", int(silu)),
        ("WIDTH", weight.shape[1]),
    )
    sizes = {"batch": batch, "length": length, "channels": channels, "tile": tile}
    blocks = -(-channels // (_CHANNELS_PER_THREAD * _THREADS))
    kernel = _module(macros, x.device.index).kernel(name)
    stream = torch.cuda.current_stream(x.device).cuda_stream
    kernel.launch((blocks, -(-length // tile), batch), _THREADS, _PARAMETERS.pack(tensors, sizes), stream)


def run_forward(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Tensor | None, resets: Tensor | None, silu: bool
) -> Tensor:
    """The outputs, contiguous."""
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    tensors = {"x": x, "weight": weight, "bias": bias, "window": window, "resets": resets, "y": y}
    _launch("conv_forward", _TILE_FORWARD, silu, tensors)
    return y


def run_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    window: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    dy: Tensor,
    dx: Tensor,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Writes the gradient of x to ``dx``, which may be a view of wider rows; returns those of weight, bias, window."""
    batch, length, channels = x.shape
    width = weight.shape[1]
    dwindow = None if window is None else torch.empty_like(window)
    dweight = weight.new_empty(batch * -(-length // _TILE_BACKWARD), width + 1, channels)
    tensors = {"x": x, "weight": weight, "bias": bias, "window": window, "resets": resets}
    outputs = {"dy": dy, "dx": dx, "dwindow": dwindow, "dweight": dweight}
    _launch("conv_backward", _TILE_BACKWARD, silu, {**tensors, **outputs})
    return dweight[:, :width].sum(0).t().contiguous(), dweight[:, width].sum(0), dwindow


_ARGUMENTS = "Tensor x, Tensor weight, Tensor? bias, Tensor? window, Tensor? resets, bool silu"


@torch.library.custom_op(
    "mamba_narrative::causal_conv", mutates_args=(), device_types="cuda", schema=f"({_ARGUMENTS}) -> Tensor"
)
def _forward_op(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Tensor | None, resets: Tensor | None, silu: bool
) -> Tensor:
    return run_forward(aligned(x), weight, bias, window, resets, silu)


@_forward_op.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Tensor | None, resets: Tensor | None, silu: bool
) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op(
    "mamba_narrative::causal_conv_backward",
    mutates_args=(),
    device_types="cuda",
    schema=f"({_ARGUMENTS}, Tensor dy) -> Tensor[]",
)
def _backward_op(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    window: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    dy: Tensor,
) -> list[Tensor]:
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    dweight, dbias, dwindow = run_backward(aligned(x), weight, bias, window, resets, silu, aligned(dy), dx)
    return [dx, dweight, dbias, x.new_empty(0) if dwindow is None else dwindow]


@_backward_op.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    window: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    dy: Tensor,
) -> list[Tensor]:
    no_window = x.new_empty(0)
    return [
        x.new_empty(x.shape),
        weight.new_empty(weight.shape),
        weight.new_empty(weight.shape[0]),
        no_window if window is None else window.new_empty(window.shape),
    ]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.silu = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias, window, resets = ctx.saved_tensors
    dx, dweight, dbias, dwindow = torch.ops.mamba_narrative.causal_conv_backward(
        x, weight, bias, window, resets, ctx.silu, dy.to(x.dtype)
    )
    return dx, dweight, None if bias is None else dbias, None if window is None else dwindow, None, None


_forward_op.register_autograd(_differentiate, setup_context=_save_for_backward)
