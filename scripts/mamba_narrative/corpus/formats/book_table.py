"""``corpus/books.tsv``, the table that people read: every raw book once, with its decision, cluster, split and size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mamba_narrative.io import read_table, write_table

BOOK_TABLE = "corpus/books.tsv"
"""Its place below the results folder."""
BOOK_TABLE_COLUMNS = (
    "book_id",
    "title",
    "author",
    "year",
    "language",
    "decision",
    "reasons",
    "cluster",
    "role",
    "duplicate_of",
    "split",
    "characters",
    "words",
    "tokens",
)


def write_books(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a row a raw book."""
    write_table(path, BOOK_TABLE_COLUMNS, rows)


def read_books(path: Path) -> list[dict[str, str]]:
    """The rows, in order."""
    return read_table(path, BOOK_TABLE_COLUMNS)
