"""The selective scan for CPUs, without a compiler: few large tensor operations for each step of time.

The states [time, batch, d_state, channels] are computed in blocks of time that stay in cache. Only the state at the
start of each block is kept; the hand-written backward recomputes the others block by block, last block first. Channels
are innermost because they are many: that is the dimension that PyTorch's loops vectorise.

No cumulative products or logarithms of decays are taken, so no decay, however strong, can overflow.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mamba_narrative.model.scan.inputs import compute_dtype, skip_and_gate, step_sizes
from mamba_narrative.model.scan.reference import reference_scan

BLOCK_BYTES, MIN_BLOCK_STEPS = 2**22, 16
"""A block of states should share the cache with a few others, but for huge batches one state every few steps is kept
at most."""


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
    y, final_state = _BlockedScan.apply(
        steps.transpose(0, 1),
        (steps * u.to(dtype)).transpose(0, 1),
        A.to(dtype).t(),
        B.to(dtype).transpose(0, 1),
        C.to(dtype).transpose(0, 1),
        state.transpose(1, 2),
        None if resets is None else resets.t(),
    )
    return skip_and_gate(y.transpose(0, 1), u, D, z), final_state.transpose(1, 2)


class _BlockedScan(torch.autograd.Function):
    """``h_t = exp(s_t A) h_(t-1) + x_t B_t``, ``y_t = C_t . h_t``, time first and channels last.

    s, x, y: [length, batch, channels]; A: [d_state, channels]; B, C: [length, batch, d_state]; states:
    [batch, d_state, channels]; resets: [length, batch] or None.
    """

    @staticmethod
    def forward(
        ctx: Any, s: Tensor, x: Tensor, A: Tensor, B: Tensor, C: Tensor, start: Tensor, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        s, x, A, B, C = (tensor.contiguous() for tensor in (s, x, A, B, C))
        blocks = _Blocks(s, x, A, B, resets, start)
        y = torch.empty_like(x)
        starts = start.new_empty(len(blocks.spans), *start.shape)
        state = start
        for index, span in enumerate(blocks.spans):
            starts[index] = state
            _, states = blocks.compute(span, starts[index])
            torch.matmul(C[span].unsqueeze(2), states[1:], out=y[span].unsqueeze(2))
            state = states[-1]
        ctx.save_for_backward(s, x, A, B, C, starts, resets)
        return y, state.clone()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        s, x, A, B, C, starts, resets = ctx.saved_tensors
        dy, dstate = (gradient.contiguous() for gradient in grad_outputs)
        ds, dx, dA, dB, dC = (torch.empty_like(tensor) for tensor in (s, x, A, B, C))
        dA.zero_()
        blocks = _Blocks(s, x, A, B, resets, starts[0])
        products, gradients = torch.empty_like(blocks.decay), torch.empty_like(blocks.decay)
        for index, span in reversed(list(enumerate(blocks.spans))):
            decay, states = blocks.compute(span, starts[index])
            n = len(decay)
            product, dstates = products[:n], gradients[:n]
            # The gradient of each state: from its output, and from the next state.
            torch.mul(C[span].unsqueeze(3), dy[span].unsqueeze(2), out=dstates)
            dstates[-1].add_(dstate)
            for t in range(n - 2, -1, -1):
                dstates[t].addcmul_(decay[t + 1], dstates[t + 1])
            dstate = decay[0] * dstates[0]
            torch.mul(states[1:], dy[span].unsqueeze(2), out=product)
            torch.sum(product, dim=3, out=dC[span])
            torch.mul(dstates, x[span].unsqueeze(2), out=product)
            torch.sum(product, dim=3, out=dB[span])
            torch.matmul(B[span].unsqueeze(2), dstates, out=dx[span].unsqueeze(2))
            # The gradient of the exponent s_t A is that of the decay times the decay.
            exponent = decay.mul_(dstates).mul_(states[:-1])
            torch.sum(torch.mul(exponent, A, out=product), dim=2, out=ds[span])
            dA += torch.mul(exponent, s[span].unsqueeze(2), out=product).sum(dim=(0, 1))
        return ds, dx, dA, dB, dC, dstate, None


class _Blocks:
    """Decays and states of one block of time after the other, in the same piece of memory."""

    def __init__(self, s: Tensor, x: Tensor, A: Tensor, B: Tensor, resets: Tensor | None, state: Tensor) -> None:
        self.s, self.x, self.B, self.resets = s, x, B, resets
        self.A_log2 = A * math.log2(math.e)  # PyTorch's exp2 takes half the time of its exp
        length = len(s)
        steps = min(length, max(MIN_BLOCK_STEPS, BLOCK_BYTES // (state.numel() * state.element_size())))
        self.spans = [slice(start, min(start + steps, length)) for start in range(0, length, steps)]
        self.decay = state.new_empty(steps, *state.shape)
        self.states = state.new_empty(steps + 1, *state.shape)

    def compute(self, span: slice, state: Tensor) -> tuple[Tensor, Tensor]:
        """Decays of ``span`` and the states before, within and after it (one more); valid until the next call."""
        n = span.stop - span.start
        decay, states = self.decay[:n], self.states[: n + 1]
        torch.mul(self.s[span].unsqueeze(2), self.A_log2, out=decay).exp2_()
        if self.resets is not None:
            decay.masked_fill_(self.resets[span, :, None, None], 0.0)
        states[0] = state
        torch.mul(self.x[span].unsqueeze(2), self.B[span].unsqueeze(3), out=states[1:])
        for before, factor, after in zip(states[:-1].unbind(0), decay.unbind(0), states[1:].unbind(0), strict=True):
            after.addcmul_(factor, before)
        return decay, states
