"""Matrix products for gradients of weights."""

from __future__ import annotations

import torch
from torch import Tensor


def product_over_rows(a: Tensor, b: Tensor) -> Tensor:
    """``a^T b`` in float32 from a [rows, n] and b [rows, m], both float32 or both bfloat16: sums stay unrounded."""
    if a.dtype == torch.float32:
        return a.t() @ b
    if a.is_cuda:
        return torch.mm(a.t(), b, out_dtype=torch.float32)
    return a.t().float() @ b.float()


def add_product_over_rows(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Add ``product_over_rows(a, b)`` to ``total``, float32 [n, m] and contiguous."""
    if a.dtype == torch.float32:
        total.addmm_(a.t(), b)
    elif a.is_cuda:
        torch.addmm(total, a.t(), b, out_dtype=torch.float32, out=total)
    else:
        total += product_over_rows(a, b)


def add_batched_product(total: Tensor, a: Tensor, b: Tensor, kept: float, factor: float) -> None:
    """``kept`` * total + ``factor`` * ``a b`` in place of ``total``, float32 [batch, n, m].

    a [batch, n, k] and b [batch, k, m] are both float32 or both bfloat16: sums stay unrounded.
    """
    if a.dtype == torch.float32:
        torch.baddbmm(total, a, b, beta=kept, alpha=factor, out=total)
    elif a.is_cuda:
        torch.baddbmm(total, a, b, beta=kept, alpha=factor, out_dtype=torch.float32, out=total)
    else:
        torch.baddbmm(total, a.float(), b.float(), beta=kept, alpha=factor, out=total)
