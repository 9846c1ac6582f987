"""Attention over the last tokens of a book, read in pieces: which tokens see which, and where they are kept.

Positions count from the start of a book. Tokens of one piece have an index, 0 for the first; those before it have
negative ones. A ring keeps what later tokens may see: position p of a book at place p mod context_length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_SMALLEST_BLOCK, _LARGEST_BLOCK = 64, 512
"""Queries computed at once where a mask is needed: they see few tokens in vain, and are few calls."""


@dataclass(frozen=True)
class Rotation:
    """Cosine and sine of every position's angles, [rows or 1, length, 1, 1, head / 2]."""

    cos: Tensor
    sin: Tensor

    @staticmethod
    def of(positions: Tensor, head: int, theta: float, dtype: torch.dtype) -> Rotation:
        """Angles position * theta^(-2 i / head) (Su et al. 2021) for positions int64 [rows, length].

        Computed in float64: a float32 angle late in a long book is off by hundredths.
        """
        exponents = torch.arange(0, head, 2, dtype=torch.float64, device=positions.device) / head
        angles = positions[:, :, None, None, None] * theta**-exponents
        dtype = torch.promote_types(dtype, torch.float32)
        return Rotation(angles.cos().to(dtype), angles.sin().to(dtype))


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn ``x`` [batch, length, 2, n_head, head]: dimension i with i + head / 2, as transformers' Llama does."""
    if torch.compiler.is_compiling():  # torch.compile makes one pass of it
        first, second = x.chunk(2, dim=-1)
        halves = first * rotation.cos - second * rotation.sin, second * rotation.cos + first * rotation.sin
        return torch.cat(halves, dim=-1).to(x.dtype)
    turned: Any = _Rotate.apply(x, rotation.cos, rotation.sin)
    return turned


class _Rotate(torch.autograd.Function):
    """In place, half by half: with results of their own, these operations would move four times the memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turned(gradients[0], cos, -sin), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    turned = torch.empty_like(x, memory_format=torch.contiguous_format)
    for half, other, sign in ((0, 1, -1), (1, 0, 1)):
        result = turned.chunk(2, dim=-1)[half]
        torch.mul(x.chunk(2, dim=-1)[half], cos, out=result)
        result.addcmul_(x.chunk(2, dim=-1)[other], sin, value=sign)
    return turned


class Reading:
    """One piece of text, read after others or alone; what all layers share.

    Nothing here waits for a GPU or depends on what the tensors hold, but for their shapes.
    """

    def __init__(
        self,
        ids: Tensor,
        position: Tensor | None,
        resets: Tensor | None,
        context_length: int,
        rotation: Callable[[Tensor], Rotation],
    ) -> None:
        """ids: int64 [batch, length]; position: int64 [batch], tokens of the book read before, None for none of any.

        resets: bool [batch, length], True where a book starts; only with ``position``.
        """
        self.length, self.context_length = ids.shape[1], context_length
        self._index = torch.arange(self.length, device=ids.device)
        self._biases: dict[tuple[int, torch.dtype], Tensor] = {}
        self._is_first = position is None
        if position is None:
            self._book_starts: Tensor | None = None
            self.position_after = torch.full((len(ids),), self.length, device=ids.device)
            self.rotation = rotation(self._index[None])
            return
        before = -position[:, None]
        starts = before.expand(-1, self.length) if resets is None else torch.where(resets, self._index, before)
        starts = torch.cat((before, starts), dim=1).cummax(dim=1).values
        self._book_starts = starts[:, 1:]
        self.position_after = self.length - starts[:, -1]
        self.rotation = rotation(self._index - self._book_starts)
        rows = torch.arange(len(ids), device=ids.device)[:, None]
        places = torch.arange(context_length, device=ids.device)
        self._oldest_first = rows, (position[:, None] + places) % context_length
        # What each place of the ring holds after the last position.
        index = self.length - 1 - (self.position_after[:, None] - 1 - places) % context_length
        self._by_place = rows, context_length + index
        self._unused = (index < starts[:, -1:])[:, :, None, None]

    def seen(self, ring: Tensor | None, own: Tensor) -> Tensor:
        """What may be seen: ``own`` [batch, length, ...], after the content of the ``ring``, oldest first."""
        return own if ring is None else torch.cat((ring.to(own.dtype)[self._oldest_first], own), dim=1)

    def ring_after(self, seen: Tensor) -> Tensor:
        """The ring [batch, context_length, ...] after the last position, from what ``seen`` gave."""
        if not self._is_first:
            return seen[self._by_place].masked_fill(self._unused, 0)
        if (missing := self.context_length - self.length) > 0:
            return F.pad(seen, (0, 0) * (seen.ndim - 2) + (0, missing))
        return seen[:, -self.context_length :].roll(self.length % self.context_length, dims=1).contiguous()

    def attend(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Mix ``values`` for every ``query`` [batch, length, n_head, head]; keys and values are as ``seen`` gave them.

        Where nothing was read before and no window slides, this is torch's fastest causal attention, without a mask.
        """
        query, keys, values = (tensor.transpose(1, 2) for tensor in (query, keys, values))
        if self._is_first and self.length <= self.context_length:
            return F.scaled_dot_product_attention(query, keys, values, is_causal=True).transpose(1, 2)
        block = min(max(self.context_length, _SMALLEST_BLOCK), _LARGEST_BLOCK)
        mixed = []
        for begin in range(0, self.length, block):
            end = min(begin + block, self.length)
            past = keys.shape[2] - self.length
            low = max(0, past + begin - self.context_length + 1)
            window = slice(low, past + end)
            bias = self._bias(begin, end, low - past, query.dtype)
            part = F.scaled_dot_product_attention(
                query[:, :, begin:end], keys[:, :, window], values[:, :, window], attn_mask=bias
            )
            mixed.append(part)
        return torch.cat(mixed, dim=2).transpose(1, 2) if mixed else query.transpose(1, 2)

    def _bias(self, begin: int, end: int, low: int, dtype: torch.dtype) -> Tensor:
        """[batch or 1, 1, end - begin, end - low]: 0 where a token sees another, else -inf. Kept for other layers."""
        if (begin, dtype) not in self._biases:
            own, others = self._index[begin:end, None], torch.arange(low, end, device=self._index.device)
            oldest = own - self.context_length + 1
            if self._book_starts is not None:
                oldest = torch.maximum(oldest, self._book_starts[:, begin:end, None])
            hidden = (others > own) | (others < oldest)
            hidden = hidden.unsqueeze(-3) if hidden.ndim == 3 else hidden[None, None]
            bias = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
            self._biases[begin, dtype] = bias.masked_fill_(hidden, float("-inf"))
        return self._biases[begin, dtype]


class Step:
    """One token of every row, read after others: the rings are changed in place, everything has a constant shape."""

    def __init__(self, position: Tensor, context_length: int, rotation: Callable[[Tensor], Rotation]) -> None:
        """position: int64 [batch], tokens of the book read before."""
        self.rotation = rotation(position[:, None])
        places = torch.arange(context_length, device=position.device)
        self._unused = (places > position[:, None])[:, None, None]
        self._taken = torch.arange(len(position), device=position.device), position % context_length

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, own_key: Tensor, own_value: Tensor) -> Tensor:
        """Put the token's key and value in the oldest place of the rings and mix what they hold.

        query, own_key, own_value: [batch, 1, n_head, head]; the result is like ``query``.
        """
        keys[self._taken], values[self._taken] = own_key[:, 0].to(keys.dtype), own_value[:, 0].to(values.dtype)
        query, keys, values = (tensor.to(query.dtype).transpose(1, 2) for tensor in (query, keys, values))
        bias = torch.zeros(self._unused.shape, dtype=query.dtype, device=query.device)
        bias.masked_fill_(self._unused, float("-inf"))
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=bias).transpose(1, 2)
