"""``splits/<split>.tsv``: the books of a split, in order of their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from mamba_narrative.io import read_table, write_table

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
HELD_OUT: tuple[Split, ...] = ("validation", "test")
SPLIT_COLUMNS = ("book_id", "shard", "cluster", "words", "characters")


def write_split(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a row a book."""
    write_table(path, SPLIT_COLUMNS, rows)


def read_split(path: Path) -> list[dict[str, str]]:
    """The rows, in order."""
    return read_table(path, SPLIT_COLUMNS)
