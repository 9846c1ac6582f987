"""Losses of held-out books as metrics and files. Written by models and baselines alike, so that they compare."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mamba_narrative.config.evaluation import LikelihoodSettings
from mamba_narrative.evaluation.bootstrap import Estimate, ratio_of_sums
from mamba_narrative.evaluation.csv_text import csv_text
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook
from mamba_narrative.evaluation.position import COLUMNS as POSITION_COLUMNS
from mamba_narrative.evaluation.position import position_rows, sum_by_range
from mamba_narrative.io import write_json, write_text

BOOK_COLUMNS = ("book_id", "tokens", "bytes", "words", "nll_nats", "bits_per_byte")


@dataclass(frozen=True)
class BookLosses:
    """Summed losses of books in nats, float64 [books, ranges of positions]."""

    books: Sequence[HeldOutBook]
    nats: npt.NDArray[np.float64]


def likelihood_metrics(losses: BookLosses, samples: int, seed: int) -> dict[str, Estimate]:
    """Bits per byte and perplexities over all books, by definition id."""
    nats = losses.nats.sum(axis=1)
    books = losses.books

    def per(sizes: list[int]) -> Estimate:
        return ratio_of_sums(nats, np.asarray(sizes, np.float64), samples, seed)

    return {
        "bits_per_byte": per([book.bytes for book in books]).transformed(lambda ratio: ratio / math.log(2)),
        "token_perplexity": per([len(book.ids) for book in books]).transformed(math.exp),
        "word_perplexity": per([book.words for book in books]).transformed(math.exp),
    }


def write_likelihood(run: str, losses: BookLosses, settings: LikelihoodSettings, output: Path) -> None:
    """Write `likelihood.json`, `likelihood_books.csv` (a row a book) and `position.csv` of ``run``."""
    books = losses.books
    metrics = likelihood_metrics(losses, settings.bootstrap_samples, settings.seed)
    longest = max(len(book.ids) for book in books)
    ranges = losses.nats.shape[1]
    counts = np.array([sum_by_range(0, np.ones(len(book.ids)), ranges) for book in books]).astype(np.int64)
    write_text(output / "likelihood_books.csv", csv_text(BOOK_COLUMNS, _book_rows(losses)))
    write_text(
        output / "position.csv",
        csv_text(
            POSITION_COLUMNS,
            position_rows(losses.nats, counts, longest, settings.bootstrap_samples, settings.seed),
        ),
    )
    write_json(
        output / "likelihood.json",
        {
            "run": run,
            "split": SPLIT,
            "books": len(books),
            "tokens": sum(len(book.ids) for book in books),
            "bytes": sum(book.bytes for book in books),
            "words": sum(book.words for book in books),
            "books_cut_short": sum(book.is_cut for book in books),
            "settings": settings.model_dump(mode="json"),
            "metrics": {name: estimate.record(name) for name, estimate in metrics.items()},
            "columns": {
                "likelihood_books.csv": {"bits_per_byte": "bits_per_byte"},
                "position.csv": {"loss_nats": "loss_by_position"},
            },
        },
    )


def _book_rows(losses: BookLosses) -> Iterable[Mapping[str, object]]:
    for book, nats in zip(losses.books, losses.nats.sum(axis=1).tolist(), strict=True):
        bits_per_byte = nats / math.log(2) / book.bytes if book.bytes else None
        values = (book.book_id, len(book.ids), book.bytes, book.words, nats, bits_per_byte)
        yield dict(zip(BOOK_COLUMNS, values, strict=True))
