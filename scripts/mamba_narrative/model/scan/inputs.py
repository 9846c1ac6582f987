"""What every scan backend does before and after the recurrence, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def compute_dtype(*tensors: Tensor | None) -> torch.dtype:
    """float64 where any tensor has it, else float32: a recurrence over thousands of steps needs no less."""
    wide = any(tensor is not None and tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if wide else torch.float32


def widened(x: Tensor, dtype: torch.dtype, more: int) -> Tensor:
    """``x`` [..., width] in ``dtype`` with so many zeros more in each row."""
    x = x.to(dtype)
    return F.pad(x, (0, more)) if more else x


def aligned(x: Tensor) -> Tensor:
    """``x`` [batch, length, width], a multiple of 4 wide, in rows whose groups of 4 elements are aligned.

    Not for code that is traced: it asks where the memory is.
    """
    well = x.stride(-1) == 1 and all(step % 4 == 0 for step in x.stride()[:-1])
    return x if well and x.data_ptr() % (4 * x.element_size()) == 0 else x.clone(memory_format=torch.contiguous_format)


def padded(x: Tensor, *more: int) -> Tensor:
    """``x`` in one piece of memory, with so many zeros more in its last dimension, the one before, and so on."""
    if not any(more):
        return x.contiguous()
    return F.pad(x, [size for amount in more for size in (0, amount)])


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
