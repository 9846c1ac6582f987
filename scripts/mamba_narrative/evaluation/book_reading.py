"""Reading a text from the empty state: a whole book in pieces with the state carried, or many short texts at once.

Memory does not depend on the length of a book: what is kept is the state and one piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.likelihood import token_losses
from mamba_narrative.model.interface import LanguageModel, State

Ids = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """Tokens ``start`` ... ``start + len(hidden)`` of a book and the state after the last token that was read.

    hidden: [tokens, d_model], from which each token is predicted.
    """

    start: int
    hidden: Tensor
    targets: Tensor
    state: State


def device_of(model: LanguageModel) -> torch.device:
    """Where the model computes."""
    return next(model.parameters()).device


def piece_limits(tokens: int, piece_tokens: int) -> list[int]:
    """Ends of pieces: all powers of two up to ``piece_tokens``, its multiples, and the end of the book."""
    doubling = [1 << power for power in range(piece_tokens.bit_length()) if 1 << power < piece_tokens]
    return [end for end in (*doubling, *range(piece_tokens, tokens, piece_tokens)) if end < tokens] + [tokens]


def read_book(model: LanguageModel, ids: Ids, end_of_text_id: int, piece_tokens: int) -> Iterator[Piece]:
    """The pieces of a book, which opens with an end of text; the state is carried from each to the next."""
    device, state, start = device_of(model), None, 0
    for end in piece_limits(len(ids), piece_tokens):
        before = ids[start - 1 : end - 1] if start else np.concatenate(([end_of_text_id], ids[: end - 1]))
        inputs = torch.from_numpy(before.astype(np.int64))[None].to(device)
        hidden, state = model(inputs, state)
        yield Piece(start, hidden[0], torch.from_numpy(ids[start:end].astype(np.int64)).to(device), state)
        start = end


def read_short(model: LanguageModel, rows: npt.NDArray[np.int64], tokens_at_once: int, last: int) -> Iterator[Tensor]:
    """Hidden states [some rows, last, d_model] of the last positions of ``rows`` [rows, length], read from nothing."""
    at_once = max(1, tokens_at_once // rows.shape[1])
    for first in range(0, len(rows), at_once):
        hidden, _ = model(torch.from_numpy(rows[first : first + at_once]).to(device_of(model)))
        yield hidden[:, -last:]


def finite_losses(model: LanguageModel, hidden: Tensor, targets: Tensor, book_id: str) -> Floats:
    """``token_losses``. Raises UserError with the book's id where a probability is not finite."""
    losses = token_losses(model, hidden, targets)
    if not np.isfinite(losses).all():
        raise UserError(
            f"book {book_id}: the model gives a token no finite probability; its training diverged: "
            "train it again, with a lower learning rate"
        )
    return losses
