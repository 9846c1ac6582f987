"""The short causal convolution before the scan, with a carried window and book starts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mamba_narrative.model.scan.dispatch import resolve_backend


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    initial_window: Tensor | None = None,
    resets: Tensor | None = None,
    silu: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Depthwise convolution along time: position t sees the inputs t - width + 1 ... t of its own book.

    x: [batch, length, channels]; weight: [channels, width], the last column is for the position itself; bias:
    [channels]; initial_window: the width - 1 inputs before x, [batch, width - 1, channels], None for zeros; resets:
    bool [batch, length], True where a book starts; silu: apply it to the outputs; backend: that of the scan, of which
    ``cuda`` has a kernel here too. Returns y like x, and the window after the last position, in which inputs of an
    earlier book are zero. Computed in at least float32.
    """
    if resolve_backend(backend, x.device) == "cuda" and x.dtype != torch.float64 and 0 not in x.shape:
        from mamba_narrative.model.scan.cuda_convolution import WIDTHS, cuda_convolution

        if weight.shape[1] in WIDTHS:
            y = cuda_convolution(x, weight, bias, initial_window, resets, silu)
            return y, last_window(x, weight.shape[1], initial_window, resets)
    return _plain(x, weight, bias, initial_window, resets, silu)


def _plain(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_window: Tensor | None,
    resets: Tensor | None,
    silu: bool,
) -> tuple[Tensor, Tensor]:
    length, width = x.shape[1], weight.shape[1]
    padded = _with_window(x, width, initial_window)
    book = None if resets is None else _book_numbers(resets, width - 1)
    y = torch.zeros((), dtype=weight.dtype, device=x.device) if bias is None else bias
    for tap in range(width):
        seen = padded[:, tap : tap + length]
        if book is not None and tap < width - 1:
            seen = seen.masked_fill((book[:, tap : tap + length] != book[:, width - 1 :]).unsqueeze(-1), 0.0)
        y = torch.addcmul(y, seen.to(weight.dtype), weight[:, tap])
    y = y.to(x.dtype)
    return F.silu(y) if silu else y, last_window(x, width, initial_window, resets)


def _with_window(x: Tensor, width: int, initial_window: Tensor | None) -> Tensor:
    if initial_window is None:
        initial_window = x.new_zeros(x.shape[0], width - 1, x.shape[2])
    return torch.cat([initial_window.to(x.dtype), x], dim=1)


def last_window(x: Tensor, width: int, initial_window: Tensor | None, resets: Tensor | None) -> Tensor:
    """The inputs that the next position will see, those of an earlier book as zeros."""
    size, length = width - 1, x.shape[1]
    # Only the end of x is joined to the window: x itself may be long.
    tail = x[:, max(0, length - size) :]
    # Contiguous, as a recorded step updates it in place.
    window = _with_window(tail, width, initial_window)[:, tail.shape[1] :].contiguous()
    if resets is None:
        return window
    book = _book_numbers(resets[:, max(0, length - size) :], size)[:, tail.shape[1] :]
    return window.masked_fill((book != book[:, -1:]).unsqueeze(-1), 0.0)


def _book_numbers(resets: Tensor, before: int) -> Tensor:
    """How many books have started up to each position, with ``before`` zeros in front: [batch, before + length]."""
    started = torch.cumsum(resets, dim=1)
    return torch.cat([started.new_zeros(resets.shape[0], before), started], dim=1)
