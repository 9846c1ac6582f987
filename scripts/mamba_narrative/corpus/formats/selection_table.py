"""``corpus/selection/<shard>.tsv``: the decision on every raw book, its reasons, and what of a text is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mamba_narrative.corpus.formats.stripped_texts import read_stripped_text
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_table, write_table

SELECTION_COLUMNS = (
    "book_id",
    "decision",
    "reasons",
    "title",
    "author",
    "year",
    "language",
    "language_source",
    "words",
    "characters",
    "ranges",
    "detected_language",
    "detected_language_fraction",
    "catalogue_genre",
)
"""Besides them the measures of the text. Readers need those that ``_NEEDED`` names."""
_NEEDED = ("book_id", "decision", "reasons", "words", "characters")


def format_ranges(ranges: Iterable[tuple[int, int]]) -> str:
    """Stretches of a text as the table holds them: ``120-4500;9000-12000``, in characters, ends excluded."""
    return ";".join(f"{start}-{end}" for start, end in ranges)


def parse_ranges(field: str) -> list[tuple[int, int]]:
    """The inverse of ``format_ranges``. Raises FileFormatError where it is none."""
    try:
        ranges = [(int(start), int(end)) for start, end in (part.split("-") for part in field.split(";") if part)]
    except ValueError:
        raise FileFormatError(f"ranges {field!r}: expected such as 120-4500;9000-12000") from None
    if any(start >= end for start, end in ranges) or ranges != sorted(ranges):
        raise FileFormatError(f"ranges {field!r}: expected rising offsets")
    return ranges


def kept_text(text: str, ranges: Sequence[tuple[int, int]]) -> str:
    """The stretches of ``text``, a blank line between them; all of it where there are no ranges."""
    if not ranges:
        return text
    return "\n\n".join(text[start:end].strip("\n") for start, end in ranges) + "\n"


def read_kept_text(directory: Path, row: Mapping[str, str], manifest: Path | None = None) -> str:
    """What is used of a book's stripped text in ``directory``; ``row`` is its row of the selection.

    Raises as ``read_stripped_text`` does, which says what ``manifest`` is.
    """
    text = read_stripped_text(directory, row["book_id"], manifest)
    return kept_text(text, parse_ranges(row.get("ranges", "")))


def write_selection(path: Path, measures: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a row a raw book; ``measures`` are further columns."""
    write_table(path, (*SELECTION_COLUMNS, *measures), rows)


def read_selection(path: Path) -> list[dict[str, str]]:
    """The rows of one shard's selection. Raises FileFormatError where a column is missing."""
    return read_table(path, _NEEDED)


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
