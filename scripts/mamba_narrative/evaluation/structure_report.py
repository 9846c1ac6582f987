"""Questions about the true course of a story as metrics, and next chapters by how much is read before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mamba_narrative.config.evaluation import StructureSettings
from mamba_narrative.evaluation.summary import Summary, Table, fields, mean_over_books
from mamba_narrative.evaluation.sums import Sum, Sums, cases_of

PREFIX_COLUMNS = ("prefix_tokens", "mean_prefix_tokens", "cases", "books", "accuracy", "low", "high")
_SUFFIX = "chapter_suffix"
_NONE = {
    "sentence_order": "no test book has so many sentences in a row within max_window_tokens",
    "paragraph_order": "no test book has so many paragraphs in a row within max_window_tokens",
    "foreign_sentence": "no test book has two stretches of sentences",
    _SUFFIX: "no test book has six long enough chapters between its first and its last",
}


def summary(sums: Sums, facts: Mapping[str, Any], settings: StructureSettings) -> Summary:
    """Means over all cases; of next chapters the longest prefix is the headline."""
    longest = max(settings.chapter_prefix_tokens)
    books: dict[str, Mapping[str, Sum]] = {name: sums.get(name, {}) for name in _NONE}
    books[_SUFFIX] = sums[f"{_SUFFIX} {longest}"]
    samples, seed = settings.bootstrap_samples, settings.seed
    metrics = {name: mean_over_books(found, samples, seed, _NONE[name]) for name, found in books.items()}
    table = Table(PREFIX_COLUMNS, list(_prefix_rows(sums, settings)), {"accuracy": _SUFFIX})
    return Summary(metrics, books, {"chapters.csv": table})


def _prefix_rows(sums: Sums, settings: StructureSettings) -> Iterator[Mapping[str, object]]:
    for limit in sorted(settings.chapter_prefix_tokens):
        books, lengths = sums[f"{_SUFFIX} {limit}"], sums[f"chapter_prefix_tokens {limit}"]
        accuracy = mean_over_books(books, settings.bootstrap_samples, settings.seed, _NONE[_SUFFIX])
        cases = cases_of(books)
        mean = sum(found.score for found in lengths.values()) / cases if cases else None
        yield dict(zip(PREFIX_COLUMNS, (limit, mean, cases, accuracy.n, *fields(accuracy)), strict=True))
