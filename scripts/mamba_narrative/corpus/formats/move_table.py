"""``splits/moves.tsv``: books that changed their split; ``splits/history.tsv``: the splits now and before, from which
that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mamba_narrative.io import read_table, write_table

MOVE_COLUMNS = ("book_id", "title", "from", "to", "cluster_before", "cluster")
_HISTORY_COLUMNS = ("book_id", "split", "cluster", "split_before", "cluster_before")


def write_moves(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a row a book that moved."""
    write_table(path, MOVE_COLUMNS, rows)


def read_moves(path: Path) -> list[dict[str, str]]:
    """The rows, in order; none where there is no such file."""
    return read_table(path, MOVE_COLUMNS) if path.is_file() else []


def write_history(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a row a book that is or was in a split."""
    write_table(path, _HISTORY_COLUMNS, rows)


def read_history(path: Path) -> list[dict[str, str]]:
    """The rows, none where there is no such file. An earlier version kept the newest splits alone."""
    return read_table(path, _HISTORY_COLUMNS[:3]) if path.is_file() else []
