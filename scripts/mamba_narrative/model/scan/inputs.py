"""What every scan backend does before and after the recurrence, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def compute_dtype(*tensors: Tensor | None) -> torch.dtype:
    """float64 where any tensor has it, else float32: a recurrence over thousands of steps needs no less."""
    wide = any(tensor is not None and tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if wide else torch.float32


def aligned_rows(x: Tensor, dtype: torch.dtype, more: int) -> Tensor:
    """``x`` [batch, length, width] in ``dtype``, widened by ``more`` zeros, in rows of aligned groups of 4 elements."""
    x = x.to(dtype)
    if more:
        return F.pad(x, (0, more))
    aligned = x.stride(-1) == 1 and x.stride(0) % 4 == 0 and x.stride(1) % 4 == 0 and x.storage_offset() % 4 == 0
    return x if aligned else x.contiguous()


def step_sizes(delta: Tensor, delta_bias: Tensor | None, softplus: bool, dtype: torch.dtype) -> Tensor:
    """``delta`` plus its bias, through softplus, in ``dtype``."""
    delta = delta.to(dtype)
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)
    return F.softplus(delta) if softplus else delta


def skip_and_gate(y: Tensor, u: Tensor, D: Tensor | None, z: Tensor | None) -> Tensor:
    """``(y + D * u) * silu(z)`` computed in the type of ``y``, returned in the type of ``u``."""
    if D is not None:
        y = y + u.to(y.dtype) * D.to(y.dtype)
    if z is not None:
        y = y * F.silu(z.to(y.dtype))
    return y.to(u.dtype)
