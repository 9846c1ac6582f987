"""A whole Mamba mixer on NVIDIA GPUs as one torch custom operator: projections, convolution, scan, gate.

The kernels are those of ``cuda`` and ``cuda_convolution``. What is gained: gradients are written where the next matrix
product reads them (plain autograd joins, adds and copies them, a tenth of a training step), and a block is two Python
calls instead of dozens, so that the processor keeps ahead of the GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from mamba_narrative.cuda.products import product_over_rows
from mamba_narrative.model.scan import cuda_convolution, cuda_passes
from mamba_narrative.model.scan.convolution import last_window
from mamba_narrative.model.scan.cuda import D_STATES


@dataclass(frozen=True)
class MixerWeights:
    """The parameters, by the names and in the shapes of ``MambaMixer``."""

    in_proj: Tensor
    """[2 * channels, d_model]."""
    conv_weight: Tensor
    """[channels, width]."""
    conv_bias: Tensor | None
    x_proj: Tensor
    """[dt_rank + 2 * d_state, channels]."""
    dt_proj: Tensor
    """[channels, dt_rank]."""
    dt_bias: Tensor
    A_log: Tensor
    """[channels, d_state]."""
    D: Tensor
    out_proj: Tensor
    """[d_model, channels]."""

    def tensors(self) -> list[Tensor | None]:
        """In this order."""
        return [getattr(self, field.name) for field in fields(self)]


def takes(weights: MixerWeights, dtype: torch.dtype) -> bool:
    """Whether a mixer of this size can be computed here in ``dtype``."""
    channels, d_state = weights.A_log.shape
    return (
        dtype in (torch.bfloat16, torch.float32)
        and channels % 8 == 0
        and weights.dt_proj.shape[1] % 8 == 0  # where B and C begin in the rows of `x_proj`
        and d_state in D_STATES
        and weights.conv_weight.shape[1] in cuda_convolution.WIDTHS
    )


def cuda_mixer(
    hidden: Tensor,
    weights: MixerWeights,
    window: Tensor | None,
    start: Tensor | None,
    resets: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See ``MambaMixer.forward``; computed in the type of ``hidden`` [batch, length, d_model]."""
    width, dtype = weights.conv_weight.shape[1], hidden.dtype
    out, tail, last, *_ = torch.ops.mamba_narrative.mixer(
        hidden.contiguous(),
        *weights.tensors(),
        None if window is None else window.to(dtype).contiguous(),
        None if start is None else start.float().contiguous(),
        None if resets is None else resets.contiguous(),
        torch.is_grad_enabled(),
    )
    tail_resets = None if resets is None else resets[:, resets.shape[1] - tail.shape[1] :]
    return out, last_window(tail, width, window, tail_resets), last


_ARGUMENTS = (
    "Tensor hidden, Tensor in_proj, Tensor conv_weight, Tensor? conv_bias, Tensor x_proj, Tensor dt_proj, "
    "Tensor dt_bias, Tensor A_log, Tensor D, Tensor out_proj, Tensor? window, Tensor? start, Tensor? resets"
)
_WEIGHTS = len(fields(MixerWeights))


def _rows(x: Tensor) -> Tensor:
    """[batch, length, width] as [batch * length, width]."""
    return x.flatten(0, 1)


def _scan_inputs(
    weights: MixerWeights, xz: Tensor, x: Tensor, projected: Tensor, delta: Tensor, A: Tensor, start: Any, resets: Any
) -> cuda_passes.Tensors:
    channels, d_state = A.shape
    rank = weights.dt_proj.shape[1]
    return {
        "u": x,
        "delta": delta,
        "A": A,
        "B": projected[..., rank : rank + d_state],
        "C": projected[..., rank + d_state :],
        "D": weights.D.float(),
        "z": xz[..., channels:],
        "bias": weights.dt_bias.float(),
        "start": start,
        "resets": resets,
    }


def _shapes(hidden: Tensor, weights: MixerWeights) -> dict[str, tuple[int, ...]]:
    batch, length = hidden.shape[0], hidden.shape[1]
    channels, d_state = weights.A_log.shape
    tail = min(length, weights.conv_weight.shape[1] - 1)
    return {
        "out": (batch, length, hidden.shape[2]),
        "tail": (batch, tail, channels),
        "last": (batch, channels, d_state),
        "xz": (batch, length, 2 * channels),
        "x": (batch, length, channels),
        "projected": (batch, length, weights.x_proj.shape[0]),
        "delta": (batch, length, channels),
        "A": (channels, d_state),
        "ungated": (batch, length, channels),
        "states": (batch, (length + cuda_passes.TILE - 1) // cuda_passes.TILE, channels, d_state),
    }


@torch.library.custom_op(
    "mamba_narrative::mixer",
    mutates_args=(),
    device_types="cuda",
    schema=f"({_ARGUMENTS}, bool save) -> Tensor[]",
)
def _forward_op(*arguments: Any) -> list[Tensor]:
    hidden, window, start, resets, save = arguments[0], *arguments[_WEIGHTS + 1 :]
    weights = MixerWeights(*arguments[1 : _WEIGHTS + 1])
    dtype, length = hidden.dtype, hidden.shape[1]
    channels, rank = weights.A_log.shape[0], weights.dt_proj.shape[1]
    with torch.autocast("cuda", enabled=False):
        xz = hidden @ weights.in_proj.to(dtype).t()
        conv_weight = weights.conv_weight.float()
        conv_bias = None if weights.conv_bias is None else weights.conv_bias.float()
        x = cuda_convolution.run_forward(xz[..., :channels], conv_weight, conv_bias, window, resets, silu=True)
        projected = x @ weights.x_proj.to(dtype).t()
        delta = projected[..., :rank] @ weights.dt_proj.to(dtype).t()
        A = -torch.exp(weights.A_log.float())
        inputs = _scan_inputs(weights, xz, x, projected, delta, A, start, resets)
        y, last, states, ungated = cuda_passes.run_forward(inputs, softplus=True, save=save)
        out = y @ weights.out_proj.to(dtype).t()
    tail = xz[:, max(0, length - conv_weight.shape[1] + 1) :, :channels].clone()
    saved = [xz, x, projected, delta, A, ungated, states] if save else [hidden.new_empty(0) for _ in range(7)]
    return [out, tail, last, *saved]


@_forward_op.register_fake
def _(*arguments: Any) -> list[Tensor]:
    hidden, save = arguments[0], arguments[-1]
    shapes = _shapes(hidden, MixerWeights(*arguments[1 : _WEIGHTS + 1]))
    found = [hidden.new_empty(shapes["out"]), hidden.new_empty(shapes["tail"])]
    found.append(hidden.new_empty(shapes["last"], dtype=torch.float32))
    kept = ("xz", "x", "projected", "delta", "A", "ungated", "states")
    return found + [
        hidden.new_empty(shapes[name] if save else (0,), dtype=torch.float32 if save and name == "A" else None)
        for name in kept
    ]


@torch.library.custom_op(
    "mamba_narrative::mixer_backward",
    mutates_args=(),
    device_types="cuda",
    schema=f"({_ARGUMENTS}, Tensor[] saved, Tensor dout, Tensor? dtail, Tensor? dlast) -> Tensor[]",
)
def _backward_op(*arguments: Any) -> list[Tensor]:
    hidden, window, start, resets, saved, dout, dtail, dlast = arguments[0], *arguments[_WEIGHTS + 1 :]
    weights = MixerWeights(*arguments[1 : _WEIGHTS + 1])
    xz, x, projected, delta, A, ungated, states = saved
    dtype, channels, rank = hidden.dtype, weights.A_log.shape[0], weights.dt_proj.shape[1]
    d_state = weights.A_log.shape[1]
    with torch.autocast("cuda", enabled=False):
        dy = dout @ weights.out_proj.to(dtype)
        dxz, dprojected = torch.empty_like(xz), torch.empty_like(projected)
        inputs = _scan_inputs(weights, xz, x, projected, delta, A, start, resets)
        into = {
            "y": torch.empty_like(ungated),
            "z": dxz[..., channels:],
            "B": dprojected[..., rank : rank + d_state],
            "C": dprojected[..., rank + d_state :],
        }
        found = cuda_passes.run_backward(
            {**inputs, "states": states, "ungated": ungated, "dy": dy, "dlast": dlast}, True, start is not None, into
        )
        dout_proj = product_over_rows(_rows(dout), _rows(into["y"]))
        ddelta, dx = found["delta"], found["u"]
        ddt_proj = product_over_rows(_rows(ddelta), _rows(projected[..., :rank]))
        torch.mm(_rows(ddelta), weights.dt_proj.to(dtype), out=_rows(dprojected)[:, :rank])
        dx_proj = product_over_rows(_rows(dprojected), _rows(x))
        _rows(dx).addmm_(_rows(dprojected), weights.x_proj.to(dtype))
        dconv_weight, dconv_bias, dwindow = cuda_convolution.run_backward(
            xz[..., :channels],
            weights.conv_weight.float(),
            None if weights.conv_bias is None else weights.conv_bias.float(),
            window,
            resets,
            True,
            dx,
            dxz[..., :channels],
        )
        if dtail is not None:
            dxz[:, dxz.shape[1] - dtail.shape[1] :, :channels] += dtail
        din_proj = product_over_rows(_rows(dxz), _rows(hidden))
        dhidden = dxz @ weights.in_proj.to(dtype)
    gradients = [dhidden, din_proj, dconv_weight, None if weights.conv_bias is None else dconv_bias, dx_proj]
    gradients += [ddt_proj, found["bias"], found["A"] * A, found["D"], dout_proj, dwindow, found["start"]]
    return [hidden.new_empty(0) if gradient is None else gradient for gradient in gradients]


@_backward_op.register_fake
def _(*arguments: Any) -> list[Tensor]:
    window, start = arguments[_WEIGHTS + 1 : _WEIGHTS + 3]
    given = [*arguments[: _WEIGHTS + 1], window, start]
    gradients = [arguments[0].new_empty(0) if tensor is None else torch.empty_like(tensor) for tensor in given]
    return [gradients[0], *(gradient.float() for gradient in gradients[1:-2]), *gradients[-2:]]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.save_for_backward(*inputs[:-1], *output[3:])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, gradients: list[Tensor | None]) -> tuple[Tensor | None, ...]:
    dout, dtail, dlast = gradients[:3]
    tensors = ctx.saved_tensors
    given, saved = tensors[: _WEIGHTS + 4], tensors[_WEIGHTS + 4 :]
    hidden = given[0]
    found = torch.ops.mamba_narrative.mixer_backward(
        *given,
        list(saved),
        torch.zeros_like(hidden) if dout is None else dout.to(hidden.dtype).contiguous(),
        dtail,
        None if dlast is None else dlast.contiguous(),
    )
    differentiable = given[:-1]
    return (
        *(None if tensor is None else gradient for tensor, gradient in zip(differentiable, found, strict=True)),
        None,
        None,
    )


_forward_op.register_autograd(_differentiate, setup_context=_save_for_backward)
