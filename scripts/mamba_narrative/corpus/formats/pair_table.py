"""``corpus/duplicates.tsv``: the pairs of books that share text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mamba_narrative.io import read_table, write_table

PAIR_COLUMNS = ("book_a", "book_b", "shared", "shingles_a", "shingles_b", "containment", "jaccard")


def write_pairs(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a row a pair."""
    write_table(path, PAIR_COLUMNS, rows)


def read_pairs(path: Path) -> list[dict[str, str]]:
    """The rows, in order."""
    return read_table(path, PAIR_COLUMNS)
