"""The runs ranked metric by metric, with differences paired by book. From `evaluation/<run>/*_books.csv`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mamba_narrative.config.evaluation import GROUPS
from mamba_narrative.evaluation.definitions import DEFINITIONS, HEADLINE
from mamba_narrative.evaluation.paired import Standing, Sums, rank
from mamba_narrative.io import write_text
from mamba_narrative.reporting.measured_books import LIKELIHOOD, Entry, Group, Sum, read_group
from mamba_narrative.reporting.sources import is_contender
from mamba_narrative.reporting.tables.table import Column, Schema, Table, to_csv, to_markdown

_LOG = logging.getLogger(__name__)

PAIRED = Schema(
    "comparison",
    "Runs from best to worst, metric by metric, on the same books. Behind: how much worse than the best one (for "
    "metrics that are better closer to human text: how much further from it). Intervals: 95 %, bootstrapped over "
    "books that are drawn for both runs of a difference together. A run is marked best where no interval of a "
    "difference includes 0; nothing is corrected for the number of comparisons. Published models may have "
    "read the books: they are never marked.",
    (
        Column("metric", "Metric"),
        Column("headline", "Headline"),
        Column("better", "Better"),
        Column("unit", "Unit"),
        Column("run", "Run"),
        Column("value", "Value", "number"),
        Column("low", "low", "number"),
        Column("high", "high", "number"),
        Column("behind", "Behind", "number"),
        Column("behind_low", "low", "number"),
        Column("behind_high", "high", "number"),
        Column("best", "Best"),
        Column("books", "Books", "count"),
    ),
)
_HUMAN = "human"
_CLOSER = "closer to human text"
_COMPARED = ("lower", "higher", _CLOSER)
# Their weights are what was asked; those of continuations are what was found.
_SAME_WEIGHTS = frozenset({LIKELIHOOD, "context", "structure", "words"})


@dataclass(frozen=True)
class PairedComparison:
    """The table, and what was left out of it and why."""

    table: Table
    notes: tuple[str, ...]

    def markdown(self) -> str:
        """The table with the notes below it."""
        notes = "".join(f"- {note}\n" for note in self.notes)
        return to_markdown(self.table) + (f"\nLeft out:\n\n{notes}" if notes else "")


def compare_runs(entries: Sequence[Entry], samples: int, seed: int) -> PairedComparison:
    """Rank ``entries`` in every metric that at least two of them have; samples and seed: of the bootstrap.

    Only measurements with the settings and, but for bits per byte, the tokenizer of the entries before are compared, on
    the books that all have. Raises FileFormatError where a file is broken.
    """
    notes: list[str] = []
    standings: dict[str, list[Standing]] = {}
    for group in GROUPS:
        for metric, by_run in _by_metric(entries, group, notes).items():
            definition = DEFINITIONS.get(metric)
            human = by_run.pop(_HUMAN, None)
            if definition is None or definition.better not in _COMPARED or len(by_run) < 2:
                continue
            if definition.better != _CLOSER:
                human = None
            elif human is None:
                notes.append(f"{metric}: human text was not measured")
                continue
            same = _same_books(metric, by_run, human, group in _SAME_WEIGHTS, notes)
            contenders = [run for run in by_run if is_contender(run)]
            standings[metric] = rank(same.runs, definition.better, samples, seed, contenders, same.human)
    ordered = [metric for metric in (*HEADLINE, *DEFINITIONS) if metric in standings]
    rows = [_row(metric, standing) for metric in dict.fromkeys(ordered) for standing in standings[metric]]
    return PairedComparison(Table(PAIRED, tuple(rows)), tuple(notes))


def write_comparison(entries: Sequence[Entry], samples: int, seed: int, output: Path) -> None:
    """Write `comparison.csv` and `comparison.md` (see ``compare_runs``); what is left out is logged."""
    found = compare_runs(entries, samples, seed)
    for note in found.notes:
        _LOG.warning("left out: %s", note)
    write_text(output / f"{PAIRED.name}.csv", to_csv(found.table))
    write_text(output / f"{PAIRED.name}.md", found.markdown())


def best_of(table: Table | None) -> set[tuple[str, str]]:
    """Runs and metrics that ``table`` marks as best; none without a table."""
    return {(row["run"], row["metric"]) for row in table.rows if row["best"]} if table else set()


def _by_metric(entries: Sequence[Entry], group: str, notes: list[str]) -> dict[str, dict[str, Mapping[str, Sum]]]:
    """Sums by metric, label and book, of the entries that were asked the same as all before that have the group."""
    taken: list[tuple[Entry, Group, str]] = []
    metrics: dict[str, dict[str, Mapping[str, Sum]]] = {}
    for entry in entries:
        measured = read_group(entry, group)
        if measured is None:
            continue
        # Bits per byte do not depend on the tokenizer.
        tokenizer = "" if group == LIKELIHOOD else entry.tokenizer()
        for earlier, its_measured, its_tokenizer in taken:
            if different := _other_settings(its_measured, measured):
                notes.append(f"{entry.label}, {group}: other {', '.join(different)} than {earlier.label}")
                break
            if tokenizer != its_tokenizer:
                notes.append(f"{entry.label}, {group}: another tokenizer than {earlier.label}")
                break
        else:
            taken.append((entry, measured, tokenizer))
            for metric, books in measured.metrics.items():
                metrics.setdefault(metric, {})[entry.label] = books
    return metrics


def _other_settings(one: Group, other: Group) -> list[str]:
    """Settings in which two measurements of a group differ.

    One that only one of them has does not count where that one also has more measures: it came with them, and what both
    measured is the same.
    """
    different = {key for key in {*one.asked, *other.asked} if one.asked.get(key) != other.asked.get(key)}
    for newer, older in ((one, other), (other, one)):
        if newer.metrics.keys() > older.metrics.keys() and newer.asked.keys() > older.asked.keys():
            different -= newer.asked.keys() - older.asked.keys()
    return sorted(different)


@dataclass(frozen=True)
class _SameBooks:
    runs: dict[str, Sums]
    human: Sums | None


def _same_books(
    metric: str,
    by_run: Mapping[str, Mapping[str, Sum]],
    human: Mapping[str, Sum] | None,
    same_weights: bool,
    notes: list[str],
) -> _SameBooks:
    """The sums of all runs over the books that all of them have, and with the same weight where that was asked."""
    everyone = [*by_run.values(), *([] if human is None else [human])]
    shared = sorted(set.intersection(*(set(books) for books in everyone)))
    if (all_books := len(set.union(*(set(books) for books in everyone)))) > len(shared):
        notes.append(f"{metric}: {all_books - len(shared)} books that not all have")
    if same_weights:
        equal = [book for book in shared if len({books[book].weight for books in everyone}) == 1]
        if len(equal) < len(shared):
            notes.append(f"{metric}: {len(shared) - len(equal)} books whose text differs between runs")
        shared = equal

    def sums(books: Mapping[str, Sum]) -> Sums:
        return Sums(
            np.array([books[book].score for book in shared], np.float64),
            np.array([books[book].weight for book in shared], np.float64),
        )

    runs = {run: sums(books) for run, books in by_run.items()} if shared else {}
    return _SameBooks(runs, None if human is None else sums(human))


def _row(metric: str, standing: Standing) -> dict[str, Any]:
    definition = DEFINITIONS[metric]
    return {
        "metric": metric,
        "headline": "yes" if metric in HEADLINE else "",
        "better": definition.better,
        "unit": definition.unit,
        "run": standing.run,
        **dict(zip(("value", "low", "high"), _bounds(standing.value), strict=True)),
        **dict(zip(("behind", "behind_low", "behind_high"), _bounds(standing.behind), strict=True)),
        "best": "best" if standing.is_best else "",
        "books": standing.value.n,
    }


def _bounds(estimate: Any) -> Iterator[float | None]:
    yield None if estimate is None else estimate.value
    yield from (None, None) if estimate is None or estimate.interval is None else estimate.interval
