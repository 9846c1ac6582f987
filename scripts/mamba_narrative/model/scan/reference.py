"""The selective scan as a loop over time: the definition that every other backend is tested against."""

from __future__ import annotations

import torch
from torch import Tensor

from mamba_narrative.model.scan.inputs import compute_dtype, skip_and_gate, step_sizes


def reference_scan(
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
    """See ``dispatch.selective_scan``. Gradients come from autograd; memory grows with the length."""
    dtype = compute_dtype(u, delta, A, initial_state)
    batch, _, channels = u.shape
    steps = step_sizes(delta, delta_bias, softplus, dtype)
    inputs, A, B, C = steps * u.to(dtype), A.to(dtype), B.to(dtype), C.to(dtype)
    state = u.new_zeros(batch, channels, A.shape[1], dtype=dtype) if initial_state is None else initial_state.to(dtype)
    outputs = []
    # `unbind`, not an index a step: the gradient of each index would be a tensor of the whole length.
    for t, (step, x, b, c) in enumerate(zip(*(part.unbind(1) for part in (steps, inputs, B, C)), strict=True)):
        if resets is not None:
            state = state.masked_fill(resets[:, t, None, None], 0.0)
        state = torch.exp(step[:, :, None] * A) * state + x[:, :, None] * b[:, None, :]
        outputs.append((state @ c[:, :, None]).squeeze(-1))
    return skip_and_gate(torch.stack(outputs, dim=1), u, D, z), state
