"""How surprising whole books are to a model that carries its state along them.

A book is read from the empty state and an end-of-text token, so its first token is predicted like any other. It is
read in pieces; as the state is carried on, the result does not depend on their length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch

from mamba_narrative.config.evaluation import LikelihoodSettings
from mamba_narrative.evaluation.arguments import OutputDirectory, RunDirectory, TestTokens
from mamba_narrative.evaluation.book_losses import BookLosses, losses_by_position, write_losses
from mamba_narrative.evaluation.book_reading import piece_losses
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook, held_out_books, open_tokens
from mamba_narrative.evaluation.position import range_count, sum_by_range
from mamba_narrative.evaluation.trained_run import choose_device, load_run
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.reading import BATCH_SIZE, even_limits, read_books
from mamba_narrative.progress import Progress


def evaluate_likelihood(
    run_directory: RunDirectory,
    tokens: TestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[LikelihoodSettings, "section `evaluation.likelihood`"] = LikelihoodSettings(),
) -> None:
    """Score the test books with a trained run and write the sums.

    Raises UserError where a file is missing or does not fit the others, or the model gives no finite probabilities.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    device = choose_device(settings.device)
    model = load_run(run_directory, tokenizer, device)
    books = held_out_books(test, tokenizer, settings.max_tokens_per_book)
    at_once = settings.batch_size or BATCH_SIZE[device.type]
    with Progress(f"{run_directory.name}: scoring", sum(len(book.ids) for book in books), "tokens") as progress:
        losses = score_books(model, books, test.end_of_text_id, settings.context_tokens, at_once, progress)
    write_losses(run_directory.name, losses, output_directory, more=losses_by_position(losses))


@torch.inference_mode()
def score_books(
    model: LanguageModel,
    books: Sequence[HeldOutBook],
    end_of_text_id: int,
    context_tokens: int,
    batch_size: int,
    progress: Progress,
) -> BookLosses:
    """Losses of all tokens of ``books``, which keep their order.

    context_tokens: length of a piece; batch_size: books read side by side. Both change memory and speed, and the
    result by rounding only. Raises UserError for a probability that is not finite.
    """
    ranges = range_count(max(len(book.ids) for book in books))
    nats = np.zeros((len(books), ranges))
    texts, book_ids = [book.ids for book in books], [book.book_id for book in books]
    limits = even_limits(max(map(len, texts)), context_tokens)
    for piece in read_books(model, texts, end_of_text_id, limits, batch_size):
        for number, losses in zip(piece.books, piece_losses(model, piece, book_ids), strict=True):
            nats[number] += sum_by_range(piece.start, losses, ranges)
        progress.advance(sum(piece.lengths))
    return BookLosses(books, nats)
