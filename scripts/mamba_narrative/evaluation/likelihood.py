"""How surprising whole books are to a model that carries its state along them.

A book is read from the empty state and an end-of-text token, so its first token is predicted like any other. It is
read in pieces; as the state is carried on, the result does not depend on their length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mamba_narrative.config.evaluation import LikelihoodSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook, held_out_books, open_tokens
from mamba_narrative.evaluation.likelihood_report import BookLosses, write_likelihood
from mamba_narrative.evaluation.position import range_count, sum_by_range
from mamba_narrative.evaluation.trained_run import choose_device, load_run
from mamba_narrative.model.interface import LanguageModel, State
from mamba_narrative.progress import Progress

# Rows of logits at once, float32 [rows, vocabulary].
ROWS_OF_LOGITS = {"cpu": 128, "cuda": 4096}


def evaluate_likelihood(run_directory: Path, tokens: Path, settings: LikelihoodSettings, output: Path) -> None:
    """Score the test books with a trained run; write `likelihood.json`, `likelihood_books.csv` and `position.csv`.

    Raises UserError where a file is missing or does not fit the others, or the model gives no finite probabilities.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    model = load_run(run_directory, tokenizer, choose_device(settings.device))
    books = held_out_books(test, tokenizer, settings.max_tokens_per_book)
    with Progress(f"{run_directory.name}: scoring", sum(len(book.ids) for book in books), "tokens") as progress:
        losses = score_books(
            model, books, test.end_of_text_id, settings.context_tokens, settings.books_at_once, progress
        )
    write_likelihood(run_directory.name, losses, settings, output)


@torch.inference_mode()
def score_books(
    model: LanguageModel,
    books: Sequence[HeldOutBook],
    end_of_text_id: int,
    context_tokens: int,
    books_at_once: int,
    progress: Progress,
) -> BookLosses:
    """Losses of all tokens of ``books``, which keep their order.

    context_tokens: length of a piece; books_at_once: books read side by side. Both change memory and speed, and the
    result by rounding only. Raises UserError for a probability that is not finite.
    """
    device = next(model.parameters()).device
    ranges = range_count(max(len(book.ids) for book in books))
    nats = np.zeros((len(books), ranges))
    # Books of similar length side by side; as the longest comes first, those that go on are the first rows.
    by_length = sorted(range(len(books)), key=lambda number: -len(books[number].ids))
    for first in range(0, len(books), books_at_once):
        group = by_length[first : first + books_at_once]
        state: State | None = None
        for start in range(0, len(books[group[0]].ids), context_tokens):
            group = [number for number in group if len(books[number].ids) > start]
            if state is not None:
                state = {name: tensor[: len(group)] for name, tensor in state.items()}
            pieces = [_piece(books[number], start, context_tokens, end_of_text_id) for number in group]
            lengths = [len(piece) - 1 for piece in pieces]
            inputs = torch.full((len(group), max(lengths)), end_of_text_id)
            for row, piece in enumerate(pieces):
                inputs[row, : lengths[row]] = torch.from_numpy(piece[:-1])
            hidden, state = model(inputs.to(device), state)
            for row, number in enumerate(group):
                targets = torch.from_numpy(pieces[row][1:]).to(device)
                losses = token_losses(model, hidden[row, : lengths[row]], targets)
                if not np.isfinite(losses).all():
                    raise UserError(
                        f"book {books[number].book_id}: the model gives a token near position {start} no finite "
                        "probability; its training diverged: train it again, with a lower learning rate"
                    )
                nats[number] += sum_by_range(start, losses, ranges)
            progress.advance(sum(lengths))
    return BookLosses(books, nats)


def token_losses(model: LanguageModel, hidden: Tensor, targets: Tensor) -> npt.NDArray[np.float64]:
    """-ln p(target) in nats, float64 [tokens], from hidden states [tokens, d_model] and targets int64 [tokens].

    The softmax is the model's precision over the vocabulary without padding; logits are never whole in memory.
    """
    losses = []
    rows = ROWS_OF_LOGITS.get(hidden.device.type, ROWS_OF_LOGITS["cpu"])
    for start in range(0, len(targets), rows):
        scores = model.logits(hidden[start : start + rows])
        chosen = scores.gather(1, targets[start : start + rows, None]).squeeze(1)
        losses.append((scores.logsumexp(dim=1) - chosen).double())
    return torch.cat(losses).cpu().numpy()


def _piece(book: HeldOutBook, start: int, length: int, end_of_text_id: int) -> npt.NDArray[np.int64]:
    """The token before ``start`` (for the first piece an end of text) and the up to ``length`` tokens from there."""
    if start == 0:
        return np.concatenate(([end_of_text_id], book.ids[:length])).astype(np.int64)
    return book.ids[start - 1 : start + length].astype(np.int64)
