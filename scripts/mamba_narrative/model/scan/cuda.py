"""The selective scan on NVIDIA GPUs: hand-written kernels, compiled at run time, as torch custom operators.

The operators are differentiable, opaque to ``torch.compile`` (one graph) and safe in CUDA graphs once they have run
before (the first call compiles). They take contiguous last dimensions in one type, bfloat16 or float32, and float32 for
A, D, the bias and states; ``cuda_scan`` brings its arguments there. See ``kernels/scan_common`` for how the work is
divided.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mamba_narrative.cuda import runtime
from mamba_narrative.errors import UserError
from mamba_narrative.model.scan.cuda_passes import TILE, Tensors, run_backward, run_forward
from mamba_narrative.model.scan.inputs import aligned, compute_dtype, padded, widened
from mamba_narrative.model.scan.reference import reference_scan

D_STATES = (8, 16, 32)


def problem(device: torch.device) -> str | None:
    """Why this backend cannot run on ``device``, or None."""
    if device.type != "cuda":
        return "it needs an NVIDIA GPU"
    if torch.version.hip is not None:
        return "it needs an NVIDIA GPU, and this torch is for AMD's"
    return runtime.problem()


def cuda_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    softplus: bool = False,
    initial_state: Tensor | None = None,
    resets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """See ``dispatch.selective_scan``. Kept for the backward: the inputs, one state every 4 steps and the output
    before the gate, in their type.

    bfloat16 where u, delta, B, C and z all are, float32 otherwise; float64 is computed by the reference. Raises
    UserError for more than 32 states.
    """
    if compute_dtype(u, delta, A, initial_state) == torch.float64 or u.shape[1] == 0:
        return reference_scan(u, delta, A, B, C, D, z, delta_bias, softplus, initial_state, resets)
    channels, d_state = A.shape
    if d_state > D_STATES[-1]:
        raise UserError(f"d_state is {d_state}; the CUDA scan holds at most {D_STATES[-1]}: choose another backend")
    timed = [u, delta, B, C, *([] if z is None else [z])]
    dtype = torch.bfloat16 if all(tensor.dtype == torch.bfloat16 for tensor in timed) else torch.float32
    # Added channels and states see zeros only, and nothing of them reaches the others.
    more_channels = -channels % 4
    more_states = next(size for size in D_STATES if size >= d_state) - d_state
    y, last, *_ = torch.ops.mamba_narrative.selective_scan(
        widened(u, dtype, more_channels),
        widened(delta, dtype, more_channels),
        padded(A.float(), more_states, more_channels),
        widened(B, dtype, more_states),
        widened(C, dtype, more_states),
        None if D is None else padded(D.float(), more_channels),
        None if z is None else widened(z, dtype, more_channels),
        None if delta_bias is None else padded(delta_bias.float(), more_channels),
        softplus,
        None if initial_state is None else padded(initial_state.float(), more_states, more_channels),
        None if resets is None else resets.contiguous(),
        torch.is_grad_enabled(),
    )
    # The backward of a slice copies, even of one that leaves nothing out.
    y = y[..., :channels] if more_channels else y
    return y.to(u.dtype), last[:, :channels, :d_state] if more_channels or more_states else last


_NAMES = ("u", "delta", "A", "B", "C", "D", "z", "bias", "start", "resets")
_TIMED = ("u", "delta", "B", "C", "z")
_ARGUMENTS = (
    "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? bias, bool softplus, "
    "Tensor? start, Tensor? resets"
)


def _by_name(*given: Tensor | None) -> Tensors:
    tensors = dict(zip(_NAMES, given, strict=True))
    return {
        name: aligned(tensor) if name in _TIMED and tensor is not None else tensor for name, tensor in tensors.items()
    }


@torch.library.custom_op(
    "mamba_narrative::selective_scan",
    mutates_args=(),
    device_types="cuda",
    schema=f"({_ARGUMENTS}, bool save) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _forward_op(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    start: Tensor | None,
    resets: Tensor | None,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return run_forward(_by_name(u, delta, A, B, C, D, z, bias, start, resets), softplus, save)


@_forward_op.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    start: Tensor | None,
    resets: Tensor | None,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, length, channels = u.shape
    d_state = A.shape[1]
    states = (batch, (length + TILE - 1) // TILE, channels, d_state) if save else (0,)
    ungated = (batch, length, channels) if save and z is not None else (0,)
    y, last = u.new_empty(batch, length, channels), A.new_empty(batch, channels, d_state)
    return y, last, u.new_empty(states), u.new_empty(ungated)


@torch.library.custom_op(
    "mamba_narrative::selective_scan_backward",
    mutates_args=(),
    device_types="cuda",
    schema=f"({_ARGUMENTS}, Tensor states, Tensor ungated, Tensor dy, Tensor? dlast, bool needs_start) -> Tensor[]",
)
def _backward_op(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    start: Tensor | None,
    resets: Tensor | None,
    states: Tensor,
    ungated: Tensor,
    dy: Tensor,
    dlast: Tensor | None,
    needs_start: bool,
) -> list[Tensor]:
    tensors = _by_name(u, delta, A, B, C, D, z, bias, start, resets)
    given: Tensors = {"states": states, "ungated": ungated, "dy": aligned(dy), "dlast": dlast}
    result = run_backward({**tensors, **given}, softplus, needs_start)
    return [result[name] for name in _GRADIENTS]


_GRADIENTS = ("u", "delta", "A", "B", "C", "D", "z", "bias", "start")


@_backward_op.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    start: Tensor | None,
    resets: Tensor | None,
    states: Tensor,
    ungated: Tensor,
    dy: Tensor,
    dlast: Tensor | None,
    needs_start: bool,
) -> list[Tensor]:
    batch, length, channels = u.shape
    d_state = A.shape[1]
    wide, narrow = (batch, length, channels), (batch, length, d_state)
    return [
        u.new_empty(wide),
        u.new_empty(wide),
        A.new_empty(channels, d_state),
        u.new_empty(narrow),
        u.new_empty(narrow),
        A.new_empty(channels),
        u.new_empty((0, 0, 0) if z is None else wide),
        A.new_empty(channels),
        A.new_empty((batch, channels, d_state) if needs_start else (0,)),
    ]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *arguments, ctx.softplus, start, resets, _ = inputs
    ctx.save_for_backward(*arguments, start, resets, *output[2:])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dy: Tensor | None, dlast: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    *arguments, start, resets, states, ungated = ctx.saved_tensors
    u = arguments[0]
    dy = u.new_zeros(u.shape) if dy is None else dy.to(u.dtype)
    dlast = None if dlast is None else dlast.contiguous()
    gradients = torch.ops.mamba_narrative.selective_scan_backward(
        *arguments, ctx.softplus, start, resets, states, ungated, dy, dlast, start is not None
    )
    given = [
        None if value is None else gradient for value, gradient in zip([*arguments, start], gradients, strict=True)
    ]
    return *given[:-1], None, given[-1], None, None


_forward_op.register_autograd(_differentiate, setup_context=_save_for_backward)
