"""``<shard>.chapters.tsv``, and ``tokens/test.chapters.tsv`` with those of a split: the headings of each book."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import read_table, write_table

_COLUMNS = ("book_id", "offset", "heading")


@dataclass(frozen=True)
class Heading:
    """A heading and its offset in characters in the stripped text of its book."""

    offset: int
    text: str


def write_chapters(path: Path, chapters: Iterable[tuple[str, int, str]]) -> None:
    """Write rows of book id, offset and heading."""
    write_table(path, _COLUMNS, (dict(zip(_COLUMNS, chapter, strict=True)) for chapter in chapters))


def read_chapters(path: Path) -> dict[str, list[Heading]]:
    """Headings by book id, in the order of the table. Raises FileFormatError where an offset is no number."""
    chapters: dict[str, list[Heading]] = {}
    for number, row in enumerate(read_table(path, _COLUMNS), start=2):
        try:
            heading = Heading(int(row["offset"]), row["heading"])
        except ValueError as error:
            raise FileFormatError(f"{path}:{number}: {error}") from None
        chapters.setdefault(row["book_id"], []).append(heading)
    return chapters
