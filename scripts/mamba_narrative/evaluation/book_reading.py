"""Scores of what ``model.reading`` reads, and many short texts read at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.reading import Piece, device_of

Ids = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]


# Rows of logits at once, float32 [rows, vocabulary].
ROWS_OF_LOGITS = {"cpu": 128, "cuda": 4096}
# On a processor: rows and columns at once, which stay in its caches from the product to the sum of exponentials.
_ROWS, _COLUMNS = 2048, 2048


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
    # A model with scores of its own is asked for them.
    in_columns = hidden.device.type == "cpu" and type(model).logits is LanguageModel.logits
    rows = _ROWS if in_columns else ROWS_OF_LOGITS.get(hidden.device.type, ROWS_OF_LOGITS["cpu"])
    score = _scores_in_columns if in_columns else _scores
    losses, best = [], []
    for start in range(0, len(targets), rows):
        chosen, total, highest = score(model, hidden[start : start + rows], targets[start : start + rows])
        losses.append((total - chosen).double())
        best.append(chosen >= highest)
    if not losses:
        return np.empty(0), np.empty(0, bool)
    return torch.cat(losses).cpu().numpy(), torch.cat(best).cpu().numpy()


def _scores(model: LanguageModel, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each row the score of its target, ln of the sum of the exponentials of all scores, and the highest one."""
    scores = model.logits(hidden)
    return scores.gather(1, targets[:, None]).squeeze(1), scores.logsumexp(dim=1), scores.amax(dim=1)


def _scores_in_columns(model: LanguageModel, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same from ``head_weight``, some tokens of the vocabulary at a time."""
    chosen, totals, highest = hidden.new_empty(len(targets)), [], []
    for first, weight in enumerate(model.head_weight()[: model.vocab_size].split(_COLUMNS)):
        scores = F.linear(hidden, weight)
        column = targets - first * _COLUMNS
        row = ((column >= 0) & (column < len(weight))).nonzero().squeeze(1)
        chosen[row] = scores[row, column[row]]
        totals.append(scores.logsumexp(dim=1))
        highest.append(scores.amax(dim=1))
    return chosen, torch.stack(totals).logsumexp(dim=0), torch.stack(highest).amax(dim=0)


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
