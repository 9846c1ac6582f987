"""Reading what the tables, figures and the page show, where a file may be optional."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mamba_narrative.corpus.formats.book_table import BOOK_TABLE, read_books
from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import from_csv_field, read_json, read_text

BASELINES = ("untrained", "ngram", "xz-after-training", "xz", "unigram", "human")
"""Names under `evaluation/` that are no runs: initial weights, models that count, xz, the books themselves."""

PUBLISHED = "published/"
"""What the names of published models begin with, as their folders do under `evaluation/`."""


def is_run(name: str) -> bool:
    """Whether ``name`` is a run of this project, not a baseline or a published model."""
    return name not in BASELINES and is_contender(name)


def is_contender(name: str) -> bool:
    """Whether a good number of ``name`` counts: published models may have read the test books."""
    return not name.startswith(PUBLISHED)


def read_csv(path: Path, required: Sequence[str] = ()) -> list[dict[str, str]]:
    """Rows of a comma-separated file with a header line, as dicts of strings.

    Raises UserError where it cannot be read, FileFormatError where a column or a field is missing.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    columns = reader.fieldnames or []
    if missing := [name for name in required if name not in columns]:
        raise FileFormatError(f"{path}: column {', '.join(missing)} missing; found {', '.join(columns) or 'nothing'}")
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise FileFormatError(f"{path}:{reader.line_num}: expected {len(columns)} fields")
            rows.append({name: from_csv_field(field) for name, field in row.items()})
    except csv.Error as error:
        raise FileFormatError(f"{path}:{reader.line_num}: not a CSV line ({error})") from None
    return rows


def optional_json(path: Path) -> Any | None:
    """The content of a JSON file, None where there is no such file. Raises FileFormatError where it is broken."""
    return read_json(path) if path.is_file() else None


def number(value: object) -> float | None:
    """A finite number from a field of a table or JSON; None for an empty field, ``nan`` and what is no number."""
    try:
        parsed = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return parsed if math.isfinite(parsed) else None


def column(rows: Sequence[dict[str, str]], name: str, path: Path) -> list[float]:
    """One column as numbers; ``nan`` where the field is empty. Raises FileFormatError where it is no number."""
    values = []
    for line, row in enumerate(rows, start=2):
        try:
            values.append(float(row[name] or "nan"))
        except ValueError:
            raise FileFormatError(f"{path}:{line}: {name} is {row[name]!r}, expected a number") from None
    return values


def book_titles(results: Path) -> dict[str, str]:
    """Title by book id from `corpus/books.tsv`; empty where there is no such file."""
    path = results / BOOK_TABLE
    return {book["book_id"]: book["title"] for book in (read_books(path) if path.is_file() else [])}
