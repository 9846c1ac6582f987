"""Measured values arranged for comparison: one row a run or baseline, one column a metric."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mamba_narrative.evaluation.definitions import DEFINITIONS, Definition
from mamba_narrative.reporting.formatting import with_interval
from mamba_narrative.reporting.sources import PUBLISHED, is_run

_ROW_LABELS = {
    "untrained": "untrained model",
    "ngram": "n-gram baseline",
    "xz-after-training": "xz after training text",
    "xz": "xz",
    "unigram": "unigram baseline",
    "human": "human text",
}


@dataclass(frozen=True)
class ColumnHead:
    """A metric as a column: ``definition`` is None where its id is unknown here."""

    metric: str
    name: str
    unit: str
    definition_id: str
    definition: Definition | None


@dataclass(frozen=True)
class Cell:
    """A value with its interval as text, and the number of cases behind it."""

    value: str
    interval: str
    n: str


@dataclass(frozen=True)
class Row:
    """One run or baseline; a cell is None where the metric was not measured."""

    name: str
    label: str
    is_baseline: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Comparison:
    """A table of runs by metrics."""

    headings: tuple[ColumnHead, ...]
    rows: tuple[Row, ...]

    @property
    def definitions(self) -> dict[str, Definition | None]:
        """The definitions of the columns by id, each once."""
        return {heading.definition_id: heading.definition for heading in self.headings}


def row_label(run: str) -> str:
    """What people call a run or a baseline."""
    if run.startswith(PUBLISHED):
        return f"{run.removeprefix(PUBLISHED)} (published; may have read these books)"
    return _ROW_LABELS.get(run, run)


def compare(measured: Iterable[Mapping[str, Any]], best: Collection[tuple[str, str]] = ()) -> Comparison:
    """Arrange the rows of a table of measured values; order of runs and metrics as they come.

    best: runs and metrics that are marked.
    """
    by_run: dict[str, dict[str, Mapping[str, Any]]] = {}
    headings: dict[str, ColumnHead] = {}
    for row in measured:
        by_run.setdefault(row["run"], {})[row["metric"]] = row
        definition = DEFINITIONS.get(row["definition"])
        headings.setdefault(
            row["metric"],
            ColumnHead(
                row["metric"],
                definition.name if definition else row["metric"],
                row["unit"],
                row["definition"],
                definition,
            ),
        )
    rows = tuple(
        Row(
            run,
            row_label(run),
            not is_run(run),
            tuple(_cell(values[metric], (run, metric) in best) if metric in values else None for metric in headings),
        )
        for run, values in by_run.items()
    )
    return Comparison(tuple(headings.values()), rows)


def _cell(row: Mapping[str, Any], is_best: bool) -> Cell:
    value, interval = with_interval(row["value"], row["interval_low"], row["interval_high"])
    return Cell(value, (interval or "no interval") + ", best" * is_best, f"{row['n']:,.0f}")
