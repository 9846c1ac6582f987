"""The short causal convolution before the scan, with a carried window and book starts."""

from __future__ import annotations

import torch
from torch import Tensor


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    initial_window: Tensor | None = None,
    resets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Depthwise convolution along time: position t sees the inputs t - width + 1 ... t of its own book.

    x: [batch, length, channels]; weight: [channels, width], the last column is for the position itself; bias:
    [channels]; initial_window: the width - 1 inputs before x, [batch, width - 1, channels], None for zeros; resets:
    bool [batch, length], True where a book starts. Returns y like x, and the window after the last position, in
    which inputs of an earlier book are zero. Computed in at least float32.
    """
    batch, length, channels = x.shape
    width = weight.shape[1]
    if initial_window is None:
        initial_window = x.new_zeros(batch, width - 1, channels)
    padded = torch.cat([initial_window.to(x.dtype), x], dim=1)
    book = None if resets is None else _book_numbers(resets, width - 1)
    y = torch.zeros((), dtype=weight.dtype, device=x.device) if bias is None else bias
    for tap in range(width):
        seen = padded[:, tap : tap + length]
        if book is not None and tap < width - 1:
            seen = seen.masked_fill((book[:, tap : tap + length] != book[:, width - 1 :]).unsqueeze(-1), 0.0)
        y = torch.addcmul(y, seen.to(weight.dtype), weight[:, tap])
    window = padded[:, length:]
    if book is not None:
        window = window.masked_fill((book[:, length:] != book[:, -1:]).unsqueeze(-1), 0.0)
    return y.to(x.dtype), window


def _book_numbers(resets: Tensor, before: int) -> Tensor:
    """How many books have started up to each position, with ``before`` zeros in front: [batch, before + length]."""
    started = torch.cumsum(resets, dim=1)
    return torch.cat([started.new_zeros(resets.shape[0], before), started], dim=1)
