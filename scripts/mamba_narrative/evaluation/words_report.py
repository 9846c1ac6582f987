"""Words that need the story as metrics, and names met again by how far back they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mamba_narrative.config.evaluation import WordsSettings
from mamba_narrative.evaluation.summary import Summary, Table, fields, mean_over_books
from mamba_narrative.evaluation.sums import Sums, cases_of, variants

RECALL_COLUMNS = ("distance_from", "distance_to", "mentions", "books", "gain_nats", "low", "high")
_RECALL = "name_recall_gain"
_NONE = "the test books have no such word"


def summary(sums: Sums, facts: Mapping[str, Any], settings: WordsSettings) -> Summary:
    """Means over all words, and the gain of names met again by distance."""
    books = {name: found for name, found in sums.items() if " " not in name}
    samples, seed = settings.bootstrap_samples, settings.seed
    metrics = {name: mean_over_books(found, samples, seed, _NONE) for name, found in books.items()}
    table = Table(RECALL_COLUMNS, list(_recall_rows(sums, settings)), {"gain_nats": _RECALL})
    return Summary(metrics, books, {"name_recall.csv": table})


def _recall_rows(sums: Sums, settings: WordsSettings) -> Iterator[Mapping[str, object]]:
    """distance_from <= tokens since the last mention < distance_to, empty for no limit."""
    for distance, books in variants(sums, _RECALL):
        first, end = distance.split("-")
        gain = mean_over_books(books, settings.bootstrap_samples, settings.seed, _NONE)
        values = (int(first), int(end) if end else None, cases_of(books), gain.n, *fields(gain))
        yield dict(zip(RECALL_COLUMNS, values, strict=True))
