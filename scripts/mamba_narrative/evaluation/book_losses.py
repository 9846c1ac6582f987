"""The losses of whole books as sums. Written by models and baselines alike, so that they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mamba_narrative.evaluation.held_out import HeldOutBook
from mamba_narrative.evaluation.position import sum_by_range
from mamba_narrative.evaluation.sums import Sum, write_sums

METRICS = ("bits_per_byte", "token_perplexity", "word_perplexity")


@dataclass(frozen=True)
class BookLosses:
    """Summed losses of books in nats, float64 [books, ranges of positions]."""

    books: Sequence[HeldOutBook]
    nats: npt.NDArray[np.float64]


def losses_by_size(losses: BookLosses) -> dict[str, dict[str, Sum]]:
    """Nats and the bytes, tokens and words of each book, by the metric that they are for."""
    nats = losses.nats.sum(axis=1).tolist()
    sizes = [(book.bytes, len(book.ids), book.words) for book in losses.books]
    return {
        metric: {
            book.book_id: Sum(len(book.ids), float(of_book[place]), total)
            for book, of_book, total in zip(losses.books, sizes, nats, strict=True)
        }
        for place, metric in enumerate(METRICS)
    }


def losses_by_position(losses: BookLosses) -> dict[str, dict[str, Sum]]:
    """Nats and tokens of each range of positions that a book reaches, by ``loss_by_position <number of the range>``."""
    ranges = losses.nats.shape[1]
    counts = np.array([sum_by_range(0, np.ones(len(book.ids)), ranges) for book in losses.books])
    return {
        f"loss_by_position {number}": {
            book.book_id: Sum(int(tokens), float(tokens), float(nats))
            for book, tokens, nats in zip(losses.books, counts[:, number], losses.nats[:, number], strict=True)
            if tokens
        }
        for number in range(ranges)
    }


def write_losses(
    run: str,
    losses: BookLosses,
    output: Path,
    facts: Mapping[str, object] | None = None,
    metrics: Mapping[str, str] | None = None,
    more: Mapping[str, Mapping[str, Sum]] | None = None,
) -> None:
    """Write the sums of ``run``; ``more``: those of other metrics, or of positions.

    facts: what else readers must know of the model, such as how much text a baseline has counted; metrics: those that
    compare with other runs', by name, with the definition id of each (perplexities of other tokens do not compare).
    """
    books = losses.books
    write_sums(
        output,
        "likelihood",
        {**losses_by_size(losses), **(more or {})},
        {
            "run": run,
            "model": dict(facts or {}),
            "books": len(books),
            "tokens": sum(len(book.ids) for book in books),
            "bytes": sum(book.bytes for book in books),
            "words": sum(book.words for book in books),
            "books_cut_short": sum(book.is_cut for book in books),
            "longest": max(len(book.ids) for book in books),
            "metrics": dict(metrics or zip(METRICS, METRICS, strict=True)),
        },
    )
