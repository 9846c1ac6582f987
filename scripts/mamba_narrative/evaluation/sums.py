"""What an evaluation found, before any statistics: sums by book for each question.

This is the one form in which everything that is measured is kept, for runs and baselines alike. Intervals, ratios and
definitions are made from it afterwards (``summary``), so that none of them is a reason to compute anything again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import read_json, read_text, write_json, write_text

COLUMNS = ("question", "book_id", "cases", "weight", "score")


class Sum(NamedTuple):
    """Of one question and book: a measure is the sum of ``score`` over books / the sum of ``weight``."""

    cases: int
    weight: float
    score: float


Sums = Mapping[str, Mapping[str, Sum]]
"""By question and book id; the books in the order in which they are resampled."""


@dataclass(frozen=True)
class Case:
    """One question to a model: the book it comes from, the score, and its weight in the mean."""

    book_id: str
    score: float
    weight: float = 1.0


def sums_of(cases: Sequence[Case]) -> dict[str, Sum]:
    """The sums of a question's cases, sorted by book id."""
    if not cases:
        return {}
    names, number = np.unique([case.book_id for case in cases], return_inverse=True)
    asked = np.bincount(number, minlength=len(names))
    weights = np.bincount(number, weights=[case.weight for case in cases], minlength=len(names))
    scores = np.bincount(number, weights=[case.score for case in cases], minlength=len(names))
    return {
        str(name): Sum(int(count), float(weight), float(score))
        for name, count, weight, score in zip(names, asked, weights, scores, strict=True)
    }


def write_sums(folder: Path, group: str, sums: Sums, facts: Mapping[str, Any]) -> None:
    """Write `<group>_sums.csv`, its numbers exact, and `<group>_facts.json`: what else is known, such as ``run``."""
    lines = [",".join(COLUMNS)]
    for question, books in sums.items():
        lines += [f"{question},{book},{found.cases},{found.weight!r},{found.score!r}" for book, found in books.items()]
    write_text(folder / f"{group}_sums.csv", "\n".join(lines) + "\n")
    write_json(folder / f"{group}_facts.json", {**facts, "questions": list(sums)})


def read_sums(folder: Path, group: str) -> tuple[Sums, dict[str, Any]]:
    """What ``write_sums`` wrote. Raises UserError where a file is missing, FileFormatError where one is broken."""
    facts, path = read_json(folder / f"{group}_facts.json"), folder / f"{group}_sums.csv"
    sums: dict[str, dict[str, Sum]] = {question: {} for question in facts["questions"]}
    header, *rows = csv.reader(io.StringIO(read_text(path)))
    try:
        if tuple(header) != COLUMNS:
            raise ValueError(f"expected the columns {', '.join(COLUMNS)}")
        for question, book, cases, weight, score in rows:
            sums[question][book] = Sum(int(cases), float(weight), float(score))
    except (KeyError, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from None
    return sums, facts


def variants(sums: Sums, question: str) -> Iterator[tuple[str, Mapping[str, Sum]]]:
    """What was asked in several ways, as ``<question> <way>``: each way with its sums by book."""
    for name, books in sums.items():
        if name.startswith(f"{question} "):
            yield name.removeprefix(f"{question} "), books


def cases_of(books: Mapping[str, Sum]) -> int:
    """How many there are in all books together."""
    return sum(found.cases for found in books.values())
