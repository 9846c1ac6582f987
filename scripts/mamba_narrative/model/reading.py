"""Reading texts side by side, each from the empty state, in pieces with the state carried.

Memory does not depend on the length of a text: what is kept is the state and one piece of some texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mamba_narrative.model.interface import LanguageModel, State

Ids = npt.NDArray[np.uint16]

BATCH_SIZE = {"cpu": 4, "cuda": 16}
"""Books read side by side: a matter of memory and speed, and of the result by rounding only."""


@dataclass(frozen=True)
class Piece:
    """The tokens of some books from ``start`` on, a row a book, and the state after them.

    hidden: [rows, longest, d_model], from which each token is predicted. targets: int64 [rows, longest]. Of a row only
    its ``lengths`` first tokens belong to its book; the state of a row is that of its book where its length is that of
    the longest.
    """

    books: list[int]
    """Which book each row is."""
    start: int
    lengths: list[int]
    hidden: Tensor
    targets: Tensor
    state: State


def device_of(model: LanguageModel) -> torch.device:
    """Where the model computes."""
    return next(model.parameters()).device


def read_books(
    model: LanguageModel, texts: Sequence[Ids], end_of_text_id: int, limits: Sequence[int], batch_size: int
) -> Iterator[Piece]:
    """The pieces of whole books, ``batch_size`` side by side, each read from an end of text with its state carried.

    limits: ends of the pieces in tokens, rising to at least the longest book (see ``piece_limits``).
    """
    device = device_of(model)
    # Books of similar length side by side; as the longest comes first, those that go on are the first rows.
    by_length = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
    for first in range(0, len(texts), batch_size):
        group, state, start = by_length[first : first + batch_size], None, 0
        for end in limits:
            group = [number for number in group if len(texts[number]) > start]
            if not group:
                break
            if state is not None:
                state = {name: tensor[: len(group)] for name, tensor in state.items()}
            lengths = [min(len(texts[number]), end) - start for number in group]
            # The token before each piece, then the piece.
            rows = np.full((len(group), max(lengths) + 1), end_of_text_id, np.int64)
            for row, number in enumerate(group):
                begin = 1 if start == 0 else 0
                rows[row, begin : lengths[row] + 1] = texts[number][start - 1 + begin : start + lengths[row]]
            tokens = torch.from_numpy(rows).to(device)
            hidden, state = model(tokens[:, :-1], state)
            yield Piece(group, start, lengths, hidden, tokens[:, 1:], state)
            start = end


def piece_limits(tokens: int, chunk_tokens: int) -> list[int]:
    """Ends of pieces: all powers of two up to ``chunk_tokens``, its multiples, and the end of the book."""
    doubling = [1 << power for power in range(chunk_tokens.bit_length()) if 1 << power < chunk_tokens]
    return [end for end in (*doubling, *range(chunk_tokens, tokens, chunk_tokens)) if end < tokens] + [tokens]


def even_limits(tokens: int, chunk_tokens: int) -> list[int]:
    """Ends of pieces of equal length that cover ``tokens``."""
    return list(range(chunk_tokens, tokens + chunk_tokens, chunk_tokens))
