"""Losses of held-out books as metrics and tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mamba_narrative.config.evaluation import LikelihoodSettings
from mamba_narrative.evaluation.bootstrap import Estimate
from mamba_narrative.evaluation.position import range_limits
from mamba_narrative.evaluation.summary import Summary, Table, fields, mean_over_books
from mamba_narrative.evaluation.sums import Sums, cases_of, variants

BOOK_COLUMNS = ("book_id", "tokens", "bytes", "words", "nll_nats", "bits_per_byte")
POSITION_COLUMNS = ("position_from", "position_to", "tokens", "loss_nats", "low", "high")
_FROM_NATS: dict[str, Callable[[float], float]] = {
    "bits_per_byte": lambda ratio: ratio / math.log(2),
    "token_perplexity": math.exp,
    "word_perplexity": math.exp,
}
_POSITION = "loss_by_position"
_NONE = "no book has any text"


def summary(sums: Sums, facts: Mapping[str, Any], settings: LikelihoodSettings) -> Summary:
    """Bits per byte and perplexities over all books, and the loss by position where that was measured."""
    definitions = facts["metrics"]
    metrics = {name: estimate(sums, definition, settings) for name, definition in definitions.items()}
    positions = list(_position_rows(sums, facts["longest"], settings))
    return Summary(
        metrics,
        {name: sums[definition] for name, definition in definitions.items()},
        # Without rows where only the sizes of whole books are known.
        {"position.csv": Table(POSITION_COLUMNS, positions, {"loss_nats": _POSITION} if positions else {})},
        books_table=Table(BOOK_COLUMNS, list(_book_rows(sums)), {"bits_per_byte": definitions["bits_per_byte"]}),
        definitions=definitions,
    )


def estimate(sums: Sums, metric: str, settings: LikelihoodSettings) -> Estimate:
    """A metric over all books, by definition id."""
    ratio = mean_over_books(sums[metric], settings.bootstrap_samples, settings.seed, _NONE)
    return ratio.transformed(_FROM_NATS[metric]) if metric in _FROM_NATS else ratio


def _book_rows(sums: Sums) -> Iterator[Mapping[str, object]]:
    for book, (tokens, size, nats) in sums["bits_per_byte"].items():
        bits_per_byte = nats / math.log(2) / size if size else None
        words = int(sums["word_perplexity"][book].weight)
        yield dict(zip(BOOK_COLUMNS, (book, tokens, int(size), words, nats, bits_per_byte), strict=True))


def _position_rows(sums: Sums, longest: int, settings: LikelihoodSettings) -> Iterator[Mapping[str, object]]:
    """By range of positions; ``longest``: tokens of a book."""
    for number, books in variants(sums, _POSITION):
        first, end = range_limits(int(number))
        loss = mean_over_books(books, settings.bootstrap_samples, settings.seed, _NONE)
        values = (first, min(end, longest), cases_of(books), *fields(loss))
        yield dict(zip(POSITION_COLUMNS, values, strict=True))
