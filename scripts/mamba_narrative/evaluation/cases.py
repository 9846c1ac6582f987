"""Cases of held-out books and their means: what every measure that asks single questions shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mamba_narrative.evaluation.bootstrap import Estimate, ratio_of_sums


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


BOOK_COLUMNS = ("metric", "book_id", "cases", "weight", "score")
