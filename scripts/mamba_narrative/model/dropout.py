"""Dropout (Srivastava et al. 2014) whose masks are a pure function of where a value stands.

A mask depends on the key of a step, the row's number in the whole batch, the position in the row, the channel, and the
place in the model: on nothing else. So parts of a batch, several processes, blocks that are computed again for their
gradients, recorded CUDA graphs and both devices drop the same values.

Random numbers are those of Philox4x32-10 (Salmon et al. 2011, doi 10.1145/2063384.2063405), eight of 16 bits a call, so
a rate is rounded to the nearest multiple of 2^-16. What is kept is scaled by the inverse of the rounded share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mamba_narrative.cuda.dropout import LEVELS, drop, scale, takes

_LOW = 0xFFFFFFFF
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_QUAD, _QUADS = 4, 32
"""A call is for two times four neighbouring channels, 128 apart: those that one thread of a kernel holds."""
_CALLS_AT_ONCE = 16_384
"""So that all stays in a processor's cache."""
_EMBEDDING, _UPDATE, _ATTENTION = range(3)


@dataclass(frozen=True)
class Site:
    """A place of the model where values are dropped, in one part of a batch."""

    rate: float
    """Share of values that become zero, below 1."""
    number: int
    """Of the place, below 2^32."""
    draw: Tensor
    """int64 [2] on the device of the values: the step's key, and the number in the batch of the part's first row."""

    @property
    def dropped_levels(self) -> int:
        """A value is dropped where its random number is below this."""
        return round(self.rate * LEVELS)

    @property
    def scale(self) -> float:
        """The factor of what is kept."""
        return scale(self.dropped_levels)

    def kept(self, batch: int, length: int, width: int) -> Tensor:
        """bool [batch, length, width]: the reference of all kernels."""
        device = self.draw.device
        key, first_row = self.draw.unbind()
        blocks, lanes = -(-width // (2 * _QUAD * _QUADS)), min(_QUADS, -(-width // _QUAD))
        group = (torch.arange(blocks, device=device)[:, None] * _QUADS + torch.arange(lanes, device=device)).flatten()
        row = (torch.arange(batch, device=device) + first_row & _LOW).repeat_interleave(length)[:, None]
        position = torch.arange(length, device=device).repeat(batch)[:, None]
        at_once = max(1, (_CALLS_AT_ONCE if device.type == "cpu" else row.numel() * len(group)) // len(group))
        parts = []
        for rows, positions in zip(row.split(at_once), position.split(at_once), strict=True):
            words = philox((group, positions, rows, self.number), (key & _LOW, key >> 32 & _LOW))
            calls = torch.stack(words, dim=-1)  # [rows, blocks * lanes, 4]
            numbers = torch.stack((calls & LEVELS - 1, calls >> 16), dim=-1)
            kept = (numbers >= self.dropped_levels).view(-1, blocks, lanes, 2, _QUAD).transpose(2, 3)
            parts.append(kept.flatten(1)[:, :width])
        return torch.cat(parts).view(batch, length, width)


@dataclass(frozen=True)
class Dropout:
    """What a model drops while it computes a part of a batch: nothing, unless told."""

    embedding_dropout: float = 0.0
    residual_dropout: float = 0.0
    attention_dropout: float = 0.0
    draw: Tensor | None = None
    """See ``Site``; wanted where a rate is not 0."""

    @property
    def any(self) -> bool:
        """Whether something is dropped."""
        return max(self.embedding_dropout, self.residual_dropout, self.attention_dropout) > 0

    def embedding(self) -> Site | None:
        """Of the residual stream at its beginning."""
        return self._site(self.embedding_dropout, _EMBEDDING, 0)

    def update(self, number: int) -> Site | None:
        """Of the ``number``-th addition to the residual stream, counted from 1."""
        return self._site(self.residual_dropout, _UPDATE, number)

    def attention(self, layer: int) -> Site | None:
        """Of what the heads of a layer give, before their projection."""
        return self._site(self.attention_dropout, _ATTENTION, layer)

    def _site(self, rate: float, kind: int, number: int) -> Site | None:
        if rate == 0:
            return None
        assert self.draw is not None, "dropout without random numbers"
        return Site(rate, kind << 16 | number, self.draw)


def dropout(x: Tensor, site: Site | None) -> Tensor:
    """``x`` [batch, length, width] with values of the ``site`` dropped and the others scaled up."""
    if site is None:
        return x
    if takes(x):
        return drop(x, site.draw, site.number, site.dropped_levels)
    batch, length, width = x.shape
    return torch.where(site.kept(batch, length, width), x * site.scale, 0.0)


def philox(
    counter: tuple[Tensor | int, Tensor | int, Tensor | int, Tensor | int], key: tuple[Tensor | int, Tensor | int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four random words of 32 bits for each ``counter``, whose words broadcast; int64 tensors of values below 2^32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # Products wrap at 64 bits like unsigned ones; the mask removes the sign that the shift brings in.
        product0, product2 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = (product2 >> 32 & _LOW) ^ c1 ^ k0, product2 & _LOW
        c2, c3 = (product0 >> 32 & _LOW) ^ c3 ^ k1, product0 & _LOW
        k0, k1 = k0 + _WEYL[0] & _LOW, k1 + _WEYL[1] & _LOW
    return c0, c1, c2, c3  # type: ignore[return-value]
