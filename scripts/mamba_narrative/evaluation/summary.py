"""Intervals, ratios and tables from the sums of an evaluation: seconds on a processor, without model or tokens.

Each group of measures has a module `<group>_report` with a function ``summary``; this one writes what it returns, in
one form for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from mamba_narrative.config.base import Section
from mamba_narrative.evaluation.bootstrap import Estimate, ratio_of_sums
from mamba_narrative.evaluation.csv_text import csv_text
from mamba_narrative.evaluation.held_out import SPLIT
from mamba_narrative.evaluation.sums import Sum, cases_of, read_sums
from mamba_narrative.io import write_json, write_text

BOOK_COLUMNS = ("metric", "book_id", "cases", "weight", "score")


@dataclass(frozen=True)
class Table:
    """A file of comma-separated values. ``definitions``: by column, the definition of what it holds."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, object]]
    definitions: Mapping[str, str]


@dataclass(frozen=True)
class Summary:
    """What one group says about one run or baseline."""

    metrics: Mapping[str, Estimate]
    """By name, which is the definition id unless ``definitions`` names another."""
    books: Mapping[str, Mapping[str, Sum]]
    """The sums behind them, by name and book id, from which runs are compared book by book."""
    tables: Mapping[str, Table] = field(default_factory=dict)
    """By file name."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other entries of the record."""
    books_table: Table | None = None
    """In place of the common form of ``books``."""
    definitions: Mapping[str, str] = field(default_factory=dict)


def summarise(folder: Path, group: str, settings: Section) -> None:
    """Write `<group>.json`, `<group>_books.csv` and the group's tables beside its sums in ``folder``.

    Raises UserError where a file is missing, FileFormatError where one is broken.
    """
    sums, facts = read_sums(folder, group)
    del facts["questions"]  # for the reader of the sums alone
    found: Summary = import_module(f"mamba_narrative.evaluation.{group}_report").summary(sums, facts, settings)
    books = found.books_table or Table(BOOK_COLUMNS, list(_book_rows(found.books)), {})
    tables = {f"{group}_books.csv": books, **found.tables}
    for name, table in tables.items():
        write_text(folder / name, csv_text(table.columns, table.rows))
    write_json(
        folder / f"{group}.json",
        {
            **facts,
            "split": SPLIT,
            "settings": settings.model_dump(mode="json"),
            "metrics": {
                name: {
                    **estimate.record(found.definitions.get(name, name)),
                    "cases": cases_of(found.books[name]),
                }
                for name, estimate in found.metrics.items()
            },
            **found.more,
            "columns": {name: table.definitions for name, table in tables.items() if table.definitions},
        },
    )


def mean_over_books(books: Mapping[str, Sum], samples: int, seed: int, none: str) -> Estimate:
    """Sum of scores / sum of weights with its interval over the books; ``none``: why there is none."""
    if not books:
        return Estimate(None, None, 0, none)
    return ratio_of_sums([one.score for one in books.values()], [one.weight for one in books.values()], samples, seed)


def fields(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    """Value and interval as cells of a table."""
    low, high = estimate.interval or (None, None)
    return estimate.value, low, high


def _book_rows(books: Mapping[str, Mapping[str, Sum]]) -> Iterable[Mapping[str, object]]:
    for metric, of_metric in books.items():
        for book, found in of_metric.items():
            values = (metric, book, found.cases, found.weight, found.score)
            yield dict(zip(BOOK_COLUMNS, values, strict=True))
