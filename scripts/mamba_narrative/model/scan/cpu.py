"""The selective scan for CPUs, without a compiler: few large tensor operations for each step of time.

The states [time, batch, d_state, channels] are computed in blocks of time that stay in cache. Only the state at the
start of each block is kept; the hand-written backward recomputes the others block by block, last block first. Channels
are innermost because they are many: that is the dimension that PyTorch's loops vectorise.

No cumulative products or logarithms of decays are taken, so no decay, however strong, can overflow.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mamba_narrative.model.scan.inputs import compute_dtype, skip_and_gate, step_sizes
from mamba_narrative.model.scan.reference import reference_scan

BLOCK_BYTES, MIN_BLOCK_STEPS = 2**20, 4
"""A block of states should share the fastest large cache with three others, but for huge batches one state every few
steps is kept at most."""


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
        # The state before each block, and the one after the last.
        starts = start.new_empty(len(blocks.spans) + 1, *start.shape)
        starts[0] = start
        for index, span in enumerate(blocks.spans):
            _, states = blocks.compute(span, starts[index])
            torch.matmul(C[span].unsqueeze(2), states, out=y[span].unsqueeze(2))
            starts[index + 1] = states[-1]
        ctx.save_for_backward(s, x, A, B, C, starts, resets)
        return y, starts[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        s, x, A, B, C, starts, resets = ctx.saved_tensors
        dy, dstate = (gradient.contiguous() for gradient in grad_outputs)
        ds, dx, dB, dC = (torch.empty_like(tensor) for tensor in (s, x, B, C))
        blocks = _Blocks(s, x, A, B, resets, starts[0])
        products, gradients = torch.empty_like(blocks.decay), torch.empty_like(blocks.decay)
        dA = torch.zeros_like(blocks.decay)  # summed up in the end
        for index, span in reversed(list(enumerate(blocks.spans))):
            start = starts[index]
            decay, states = blocks.compute(span, start)
            n = len(decay)
            dstates = gradients[:n]
            # The gradient of each state: from its output, and from the next state.
            torch.mul(C[span].unsqueeze(3), dy[span].unsqueeze(2), out=dstates)
            dstates[-1].add_(dstate)
            factors, steps = decay.unbind(0), dstates.unbind(0)
            for t in range(n - 2, -1, -1):
                steps[t].addcmul_(factors[t + 1], steps[t + 1])
            dstate = factors[0] * steps[0]
            # Sums over channels as vector times matrix: a third of the time of a product and its sum.
            torch.matmul(dy[span].unsqueeze(2), states.transpose(2, 3), out=dC[span].unsqueeze(2))
            torch.matmul(x[span].unsqueeze(2), dstates.transpose(2, 3), out=dB[span].unsqueeze(2))
            torch.matmul(B[span].unsqueeze(2), dstates, out=dx[span].unsqueeze(2))
            # The gradient of the exponent s_t A is that of the decay times the decay.
            exponent = decay.mul_(dstates)
            exponent[0].mul_(start)
            exponent[1:].mul_(states[:-1])
            dA[:n].addcmul_(exponent, s[span].unsqueeze(2))
            torch.sum(torch.mul(exponent, A, out=products[:n]), dim=2, out=ds[span])
        return ds, dx, dA.sum(dim=(0, 1)), dB, dC, dstate, None


class _Blocks:
    """Decays and states of one block of time after the other, in the same piece of memory."""

    def __init__(self, s: Tensor, x: Tensor, A: Tensor, B: Tensor, resets: Tensor | None, state: Tensor) -> None:
        self.s, self.x, self.A, self.B, self.resets = s, x, A, B, resets
        length = len(s)
        steps = min(length, max(MIN_BLOCK_STEPS, BLOCK_BYTES // (state.numel() * state.element_size())))
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
