"""Reading a text from the empty state: whole books in pieces with the state carried, or many short texts at once.

Memory does not depend on the length of a book: what is kept is the state and one piece of some books.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import LanguageModel, State

Ids = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]


BOOKS_AT_ONCE = {"cpu": 4, "cuda": 16}
"""Books read side by side: a matter of memory and speed, and of the result by rounding only."""
# Rows of logits at once, float32 [rows, vocabulary].
ROWS_OF_LOGITS = {"cpu": 128, "cuda": 4096}


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


def piece_limits(tokens: int, piece_tokens: int) -> list[int]:
    """Ends of pieces: all powers of two up to ``piece_tokens``, its multiples, and the end of the book."""
    doubling = [1 << power for power in range(piece_tokens.bit_length()) if 1 << power < piece_tokens]
    return [end for end in (*doubling, *range(piece_tokens, tokens, piece_tokens)) if end < tokens] + [tokens]


def read_books(
    model: LanguageModel, texts: Sequence[Ids], end_of_text_id: int, limits: Sequence[int], books_at_once: int
) -> Iterator[Piece]:
    """The pieces of whole books, ``books_at_once`` side by side, each read from an end of text with its state carried.

    limits: ends of the pieces in tokens, rising to at least the longest book (see ``piece_limits``).
    """
    device = device_of(model)
    # Books of similar length side by side; as the longest comes first, those that go on are the first rows.
    by_length = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
    for first in range(0, len(texts), books_at_once):
        group, state, start = by_length[first : first + books_at_once], None, 0
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


def even_limits(tokens: int, piece_tokens: int) -> list[int]:
    """Ends of pieces of equal length that cover ``tokens``."""
    return list(range(piece_tokens, tokens + piece_tokens, piece_tokens))


def piece_losses(
    model: LanguageModel, piece: Piece, book_ids: Sequence[str], wanted: Sequence[npt.NDArray[np.int64]] | None = None
) -> list[Floats]:
    """-ln p in nats of each row's tokens, float64; ``wanted``: by row the places in the piece that are looked at, all
    where None. Raises UserError with the book's id where a probability is not finite.
    """
    places = [np.arange(length) for length in piece.lengths] if wanted is None else wanted
    sizes = [len(of_row) for of_row in places]
    rows = torch.from_numpy(np.repeat(np.arange(len(places)), sizes)).to(piece.hidden.device)
    columns = torch.from_numpy(np.concatenate(places).astype(np.int64)).to(piece.hidden.device)
    losses, _ = predict(model, piece.hidden[rows, columns], piece.targets[rows, columns])
    found = np.split(losses, np.cumsum(sizes)[:-1])
    for number, of_row in zip(piece.books, found, strict=True):
        _check_finite(of_row, book_ids[number])
    return found


def predict(model: LanguageModel, hidden: Tensor, targets: Tensor) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """-ln p(target) in nats, float64 [tokens], and whether it is the most likely token, from hidden states
    [tokens, d_model] and targets int64 [tokens].

    The softmax is the model's precision over the vocabulary without padding; logits are never whole in memory.
    """
    losses, best = [], []
    rows = ROWS_OF_LOGITS.get(hidden.device.type, ROWS_OF_LOGITS["cpu"])
    for start in range(0, len(targets), rows):
        scores = model.logits(hidden[start : start + rows])
        chosen = scores.gather(1, targets[start : start + rows, None]).squeeze(1)
        losses.append((scores.logsumexp(dim=1) - chosen).double())
        best.append(chosen >= scores.amax(dim=1))
    if not losses:
        return np.empty(0), np.empty(0, bool)
    return torch.cat(losses).cpu().numpy(), torch.cat(best).cpu().numpy()


def read_short(model: LanguageModel, rows: npt.NDArray[np.int64], tokens_at_once: int, last: int) -> Iterator[Tensor]:
    """Hidden states [some rows, last, d_model] of the last positions of ``rows`` [rows, length], read from nothing."""
    at_once = max(1, tokens_at_once // rows.shape[1])
    for first in range(0, len(rows), at_once):
        hidden, _ = model(torch.from_numpy(rows[first : first + at_once]).to(device_of(model)))
        yield hidden[:, -last:]


def finite_losses(model: LanguageModel, hidden: Tensor, targets: Tensor, book_id: str) -> Floats:
    """The losses of ``predict``. Raises UserError with the book's id where a probability is not finite."""
    losses, _ = predict(model, hidden, targets)
    _check_finite(losses, book_id)
    return losses


def _check_finite(losses: Floats, book_id: str) -> None:
    if not np.isfinite(losses).all():
        raise UserError(
            f"book {book_id}: the model gives a token no finite probability; its training diverged: "
            "train it again, with a lower learning rate"
        )
