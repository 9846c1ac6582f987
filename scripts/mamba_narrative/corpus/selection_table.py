"""Reading the table of decisions, without the code that makes them: later stages depend on this module alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_table

USED_DECISIONS: frozenset[str] = frozenset({"keep", "partial"})
"""Decisions of books that are used; everything after the selection asks this."""


def read_selection(path: Path) -> list[dict[str, str]]:
    """The rows of one shard's selection. Raises FileFormatError where a column is missing."""
    return read_table(path, ("book_id", "decision", "reasons", "words", "characters"))


def read_selections(directory: Path, shard_names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Rows of all shards by book id, each with its ``shard``. Raises FileFormatError where a book is in two shards."""
    if not shard_names:
        raise UserError(f"{directory}: no shard names given; expected at least one, such as 000")
    rows: dict[str, dict[str, str]] = {}
    for shard in shard_names:
        for row in read_selection(directory / f"{shard}.tsv"):
            if row["book_id"] in rows:
                raise FileFormatError(
                    f"{directory}: book {row['book_id']} is in shards {rows[row['book_id']]['shard']} and {shard}"
                )
            rows[row["book_id"]] = row | {"shard": shard}
    return rows
