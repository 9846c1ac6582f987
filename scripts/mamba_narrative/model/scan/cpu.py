"""The selective scan for CPUs, without a compiler: few large tensor operations for each step of time.

The states [time, batch, d_state, channels] are computed in blocks of time that stay in cache. Only the state at the
start of each block is kept; the hand-written backward recomputes the others block by block, last block first. Channels
are innermost because they are many: that is the dimension that PyTorch's loops vectorise.

A custom operator hides all this from ``torch.compile``, which would unroll the loops.

No cumulative products or logarithms of decays are taken, so no decay, however strong, can overflow.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mamba_narrative.model.scan.inputs import compute_dtype, skip_and_gate, step_sizes
from mamba_narrative.model.scan.reference import reference_scan

BLOCK_BYTES, MIN_BLOCK_STEPS = 2**21, 8
"""A block of states should share a cache with three others, but for huge batches one state every few steps is kept at
most."""


def cpu_scan(
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
    """See ``dispatch.selective_scan``. Kept for backward: the inputs and one state a block."""
    batch, length, channels = u.shape
    if length == 1:
        return reference_scan(u, delta, A, B, C, D, z, delta_bias, softplus, initial_state, resets)
    dtype = compute_dtype(u, delta, A, initial_state)
    steps = step_sizes(delta, delta_bias, softplus, dtype)
    state = u.new_zeros(batch, channels, A.shape[1], dtype=dtype) if initial_state is None else initial_state.to(dtype)
    y, final_state, _ = torch.ops.mamba_narrative.blocked_scan(
        steps.contiguous(),
        (steps * u.to(dtype)).contiguous(),
        A.to(dtype).t().contiguous(),
        B.to(dtype).contiguous(),
        C.to(dtype).contiguous(),
        state.transpose(1, 2).contiguous(),
        resets,
        torch.is_grad_enabled(),
    )
    return skip_and_gate(y, u, D, z), final_state.transpose(1, 2)


def _block_steps(length: int, state: Tensor) -> int:
    """Steps of a block of states like ``state``."""
    return min(length, max(MIN_BLOCK_STEPS, BLOCK_BYTES // max(1, state.numel() * state.element_size())))


class _Blocks:
    """Decays and states of one block of time after the other, in the same piece of memory."""

    def __init__(self, s: Tensor, x: Tensor, A: Tensor, B: Tensor, resets: Tensor | None, state: Tensor) -> None:
        self.s, self.x, self.A, self.B = s.transpose(0, 1), x.transpose(0, 1), A, B.transpose(0, 1)
        self.resets = None if resets is None else resets.t()
        length = s.shape[1]
        steps = _block_steps(length, state)
        self.spans = [slice(start, min(start + steps, length)) for start in range(0, length, steps)]
        self.decay, self.states = state.new_empty(2, steps, *state.shape)

    def compute(self, span: slice, start: Tensor) -> tuple[Tensor, Tensor]:
        """Decays of ``span`` and the states after each of its positions; valid until the next call."""
        n = span.stop - span.start
        decay, states = self.decay[:n], self.states[:n]
        torch.mul(self.s[span].unsqueeze(2), self.A, out=decay).exp_()
        if self.resets is not None:
            decay.masked_fill_(self.resets[span, :, None, None], 0.0)
        torch.mul(self.x[span].unsqueeze(2), self.B[span].unsqueeze(3), out=states)
        before = start
        for factor, state in zip(decay.unbind(0), states.unbind(0), strict=True):
            before = state.addcmul_(factor, before)
        return decay, states


_ARGUMENTS = "Tensor s, Tensor x, Tensor A, Tensor B, Tensor C, Tensor start, Tensor? resets"


@torch.library.custom_op(
    "mamba_narrative::blocked_scan", mutates_args=(), schema=f"({_ARGUMENTS}, bool save) -> (Tensor, Tensor, Tensor)"
)
def _forward_op(
    s: Tensor, x: Tensor, A: Tensor, B: Tensor, C: Tensor, start: Tensor, resets: Tensor | None, save: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """``h_t = exp(s_t A) h_(t-1) + x_t B_t``, ``y_t = C_t . h_t``; all contiguous.

    s, x, y: [batch, length, channels]; A: [d_state, channels]; B, C: [batch, length, d_state]; states:
    [batch, d_state, channels]; resets: [batch, length] or None. Returns y, the last state and, where asked to save
    them, the states before each block and after the last.
    """
    blocks = _Blocks(s, x, A, B, resets, start)
    y = torch.empty_like(x)
    rows, weights = y.transpose(0, 1), C.transpose(0, 1).contiguous()
    starts = start.new_empty(len(blocks.spans) + 1 if save else 1, *start.shape)
    starts[0] = start
    for index, span in enumerate(blocks.spans):
        _, states = blocks.compute(span, starts[index if save else 0])
        rows[span] = torch.matmul(weights[span].unsqueeze(2), states).squeeze(2)
        starts[index + 1 if save else 0] = states[-1]
    return y, starts[-1].clone(), starts


@_forward_op.register_fake
def _(
    s: Tensor, x: Tensor, A: Tensor, B: Tensor, C: Tensor, start: Tensor, resets: Tensor | None, save: bool
) -> tuple[Tensor, Tensor, Tensor]:
    length = s.shape[1]
    steps = _block_steps(length, start)
    count = (length + steps - 1) // steps + 1 if save else 1
    return torch.empty_like(x), torch.empty_like(start), start.new_empty(count, *start.shape)


@torch.library.custom_op(
    "mamba_narrative::blocked_scan_backward",
    mutates_args=(),
    schema=f"({_ARGUMENTS}, Tensor dy, Tensor? dlast) -> Tensor[]",
)
def _backward_op(
    s: Tensor,
    x: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    start: Tensor,
    resets: Tensor | None,
    dy: Tensor,
    dlast: Tensor | None,
) -> list[Tensor]:
    """Gradients of s, x, A, B, C and the first state; ``start`` is what the forward saved."""
    starts = start
    results = [torch.empty_like(tensor) for tensor in (s, x, B, C)]
    ds, dx, dB, dC, dy, C = (tensor.transpose(0, 1) for tensor in (*results, dy, C))
    blocks = _Blocks(s, x, A, B, resets, starts[0])
    products, gradients = torch.empty_like(blocks.decay), torch.empty_like(blocks.decay)
    dA = torch.zeros_like(blocks.decay)  # summed up in the end
    dstate = torch.zeros_like(starts[0]) if dlast is None else dlast
    for index, span in reversed(list(enumerate(blocks.spans))):
        decay, states = blocks.compute(span, starts[index])
        n = len(decay)
        dstates = gradients[:n]
        # The gradient of each state: from its output, and from the next state.
        torch.mul(C[span].unsqueeze(3), dy[span].unsqueeze(2), out=dstates)
        dstates[-1].add_(dstate)
        factors, steps = decay.unbind(0), dstates.unbind(0)
        for t in range(n - 2, -1, -1):
            steps[t].addcmul_(factors[t + 1], steps[t + 1])
        dstate = factors[0] * steps[0]
        # Sums over channels as vector times matrix: faster than a product and its sum.
        dC[span] = torch.matmul(dy[span].unsqueeze(2), states.transpose(2, 3)).squeeze(2)
        dB[span] = torch.matmul(blocks.x[span].unsqueeze(2), dstates.transpose(2, 3)).squeeze(2)
        dx[span] = torch.matmul(blocks.B[span].unsqueeze(2), dstates).squeeze(2)
        # The gradient of the exponent s_t A is that of the decay times the decay.
        exponent = decay.mul_(dstates)
        exponent[0].mul_(starts[index])
        exponent[1:].mul_(states[:-1])
        dA[:n].addcmul_(exponent, blocks.s[span].unsqueeze(2))
        ds[span] = torch.mul(exponent, A, out=products[:n]).sum(dim=2)
    return [*results[:2], dA.sum(dim=(0, 1)), *results[2:], dstate]


@_backward_op.register_fake
def _(s: Tensor, x: Tensor, A: Tensor, B: Tensor, C: Tensor, start: Tensor, *_: Tensor | None) -> list[Tensor]:
    return [torch.empty_like(tensor) for tensor in (s, x, A, B, C, start[0])]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    s, x, A, B, C, _, resets, _ = inputs
    ctx.save_for_backward(s, x, A, B, C, output[2], resets)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dy: Tensor | None, dlast: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors  # to be read once only, where blocks are recomputed
    x = saved[1]
    dy = torch.zeros_like(x) if dy is None else dy.contiguous()
    dlast = None if dlast is None else dlast.contiguous()
    with torch.autocast(x.device.type, enabled=False):
        gradients = torch.ops.mamba_narrative.blocked_scan_backward(*saved, dy, dlast)
    return *gradients, None, None


_forward_op.register_autograd(_differentiate, setup_context=_save_for_backward)
