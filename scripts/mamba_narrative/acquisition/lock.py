"""The lock file: exactly which books a corpus consists of, where each came from, and what the catalogue says of it.

One row a book: id, address, SHA-256 and length of its bytes, date of the transfer, name of the file, and the columns
of Project Gutenberg's catalogue. It is all that is needed to repeat an acquisition and to cite it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mamba_narrative.corpus.raw.catalogue import COLUMNS, CatalogueEntry, entry_fields, entry_of
from mamba_narrative.corpus.raw.inventory import natural_key
from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import format_table, read_table

ORIGIN_COLUMNS = ("id", "url", "sha256", "bytes", "date", "file")
LOCK_COLUMNS = ORIGIN_COLUMNS + COLUMNS[1:]
_FILE_NAME = re.compile(r"[\w%-][\w.%-]{0,199}\.txt")
_LENGTH = re.compile(r"[0-9]{1,15}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class LockedBook:
    """One book that was brought."""

    book_id: str
    url: str
    """Where its bytes came from; a member of an archive or a row of a dataset follows a ``#``."""
    sha256: str
    bytes: int
    date: str
    """Day of the transfer, UTC, ISO 8601."""
    file: str
    """Name below ``raw/``, without any folder."""
    entry: CatalogueEntry = field(default=CatalogueEntry("", ()), compare=False)
    """What the catalogue says; an empty title means that it says nothing."""


def format_lock(books: Iterable[LockedBook]) -> str:
    """The text of a lock file, books sorted by id: equal books give equal bytes."""
    ordered = sorted(books, key=lambda book: natural_key(book.book_id))
    return format_table(LOCK_COLUMNS, ({**origin_of(book), **entry_fields(book.entry)} for book in ordered))


def origin_of(book: LockedBook) -> dict[str, str]:
    """The columns that say where the bytes came from."""
    values = (book.book_id, book.url, book.sha256, str(book.bytes), book.date, book.file)
    return dict(zip(ORIGIN_COLUMNS, values, strict=True))


def book_of(row: dict[str, str], where: str) -> LockedBook:
    """The book of a row. Raises FileFormatError where a value cannot be right, above all an unsafe file name."""
    if not _FILE_NAME.fullmatch(row["file"]):
        raise FileFormatError(f"{where}: file {row['file']!r}; expected a name such as pg1342.txt, without a folder")
    if not _SHA256.fullmatch(row["sha256"]) or not _LENGTH.fullmatch(row["bytes"]):
        raise FileFormatError(f"{where}: book {row['id']!r} needs a SHA-256 of 64 hex digits and a length in bytes")
    if not row["id"]:
        raise FileFormatError(f"{where}: a book without id")
    entry = entry_of({name: row.get(name, "") for name in COLUMNS[1:]})
    return LockedBook(row["id"], row["url"], row["sha256"], int(row["bytes"]), row["date"], row["file"], entry)


def read_lock(path: Path) -> dict[str, LockedBook]:
    """The books of a lock file by id.

    Raises UserError where it cannot be read, FileFormatError where it is no lock file or names a book or file twice.
    """
    books: dict[str, LockedBook] = {}
    files: set[str] = set()
    for number, row in enumerate(read_table(path, ORIGIN_COLUMNS), start=2):
        book = book_of(row, f"{path}:{number}")
        if book.book_id in books or book.file in files:
            raise FileFormatError(f"{path}:{number}: book {book.book_id} or file {book.file} is there twice")
        books[book.book_id] = book
        files.add(book.file)
    return books
