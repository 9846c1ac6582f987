"""Cases of held-out books and their means: what every measure that asks single questions shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mamba_narrative.config.evaluation import StructureSettings, WordsSettings
from mamba_narrative.evaluation.bootstrap import Estimate, ratio_of_sums
from mamba_narrative.evaluation.csv_text import csv_text
from mamba_narrative.evaluation.held_out import SPLIT
from mamba_narrative.io import write_json, write_text

BOOK_COLUMNS = ("metric", "book_id", "cases", "weight", "score")


@dataclass(frozen=True)
class Case:
    """One question to a model: the book it comes from, the score, and its weight in the mean."""

    book_id: str
    score: float
    weight: float = 1.0


def mean_over_books(cases: Sequence[Case], samples: int, seed: int, none: str) -> Estimate:
    """Sum of scores / sum of weights with its interval over the books that have cases; ``none``: why there is none."""
    if not cases:
        return Estimate(None, None, 0, none)
    names, number = np.unique([case.book_id for case in cases], return_inverse=True)
    scores = np.bincount(number, weights=[case.score for case in cases], minlength=len(names))
    weights = np.bincount(number, weights=[case.weight for case in cases], minlength=len(names))
    return ratio_of_sums(scores, weights, samples, seed)


def book_rows(metric: str, cases: Sequence[Case]) -> list[Mapping[str, object]]:
    """One row a book, in order of appearance: metric, book_id, cases, weight and score (sums)."""
    by_book: dict[str, list[Case]] = {}
    for case in cases:
        by_book.setdefault(case.book_id, []).append(case)
    return [
        {
            "metric": metric,
            "book_id": book,
            "cases": len(of_book),
            "weight": float(sum(case.weight for case in of_book)),
            "score": float(sum(case.score for case in of_book)),
        }
        for book, of_book in by_book.items()
    ]


def cases_csv(cases: Mapping[str, Sequence[Case]]) -> str:
    """The sums by book of all metrics as comma-separated text; ``cases`` by definition."""
    return csv_text(BOOK_COLUMNS, [row for metric, asked in cases.items() for row in book_rows(metric, asked)])


def write_cases(
    run: str,
    name: str,
    cases: Mapping[str, Sequence[Case]],
    settings: StructureSettings | WordsSettings,
    none: Mapping[str, str],
    columns: Mapping[str, Mapping[str, str]],
    output: Path,
) -> None:
    """Write `<name>_books.csv` and `<name>.json` of ``run``; ``cases`` and ``none`` (why there are none) by definition.

    ``columns``: by file, which of its columns hold which definition.
    """
    metrics = {
        metric: {
            **mean_over_books(asked, settings.bootstrap_samples, settings.seed, none[metric]).record(metric),
            "cases": len(asked),
        }
        for metric, asked in cases.items()
    }
    write_text(output / f"{name}_books.csv", cases_csv(cases))
    write_json(
        output / f"{name}.json",
        {
            "run": run,
            "split": SPLIT,
            "settings": settings.model_dump(mode="json"),
            "metrics": metrics,
            "columns": columns,
        },
    )
