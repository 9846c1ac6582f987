"""Chapter headings of the books of a split, beside its tokens: written with them, read by the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import read_table, write_table

COLUMNS = ("book_id", "offset", "heading")


@dataclass(frozen=True)
class Heading:
    """A heading and its offset in characters in the stripped text of its book."""

    offset: int
    text: str


def collect_chapters(split: Path, stripped: Path, target: Path) -> None:
    """Copy the headings of the books of ``split`` together from ``<stripped>/<shard>.chapters.tsv``.

    ``split``: table with ``book_id`` and ``shard``; its order is kept. Raises UserError where a file is missing.
    """
    wanted = [(row["book_id"], row["shard"]) for row in read_table(split, ("book_id", "shard"))]
    shards: dict[str, dict[str, list[Mapping[str, str]]]] = {}
    rows: list[Mapping[str, str]] = []
    for book_id, shard in wanted:
        if shard not in shards:
            shards[shard] = {}
            for row in read_table(stripped / f"{shard}.chapters.tsv", COLUMNS):
                shards[shard].setdefault(row["book_id"], []).append(row)
        rows += shards[shard].get(book_id, [])
    write_table(target, COLUMNS, rows)


def read_chapters(path: Path) -> dict[str, list[Heading]]:
    """Headings by book id, in the order of their offsets. Raises FileFormatError where an offset is no number."""
    chapters: dict[str, list[Heading]] = {}
    for number, row in enumerate(read_table(path, COLUMNS), start=2):
        try:
            heading = Heading(int(row["offset"]), row["heading"])
        except ValueError as error:
            raise FileFormatError(f"{path}:{number}: {error}") from None
        chapters.setdefault(row["book_id"], []).append(heading)
    return chapters
