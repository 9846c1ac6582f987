"""The folder to which books are brought: nothing in it is half-written, believed unseen, or fetched again.

A book is written beside (``.acquisition/partial``), noted in a journal with its hash, then renamed into ``raw/``.
Whatever happens in between, the next run takes what lock and journal vouch for, by length and hash, and no other file.
Books that are not wanted any more wait in ``.acquisition/unused``.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mamba_narrative.acquisition.lock import LockedBook, book_of, format_lock, origin_of, read_lock
from mamba_narrative.acquisition.state import Layout
from mamba_narrative.corpus.raw.catalogue import CatalogueEntry, format_catalogue
from mamba_narrative.corpus.raw.inventory import natural_key
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import format_table, read_json, read_table, sha256_file, write_json, write_text
from mamba_narrative.lease import Lease
from mamba_narrative.progress import track

_LOG = logging.getLogger(__name__)
MISSING_COLUMNS = ("id", "title", "reason", "detail", "url")


@dataclass(frozen=True)
class Wish:
    """A book to be brought."""

    book_id: str
    entry: CatalogueEntry
    pinned: LockedBook | None = None
    """The bytes that it must have, of a lock file."""


@dataclass(frozen=True)
class MissingBook:
    """A wanted book that is not there."""

    book_id: str
    reason: str
    detail: str
    url: str = ""


class BookStore:
    """The books that are there; made by ``open_store``."""

    def __init__(self, directory: Path, before_writing: Callable[[], None]) -> None:
        """``before_writing`` is called before each change, and raises where this process may not write any more."""
        self._before_writing = before_writing
        self.layout = Layout(directory)
        self.partial = self.layout.work / "partial"
        self._aside = self.layout.work / "unused"
        self._journal = self.layout.work / "journal.jsonl"
        self.held: dict[str, LockedBook] = {}
        """Whole books by id, verified, in ``raw/`` or set aside."""
        self.damaged: dict[str, LockedBook] = {}
        """Books of the lock that are gone or not what they were."""

    def put(self, book_id: str, url: str, sha256: str, file: str, written: Path) -> None:
        """Take over ``written``, a whole and accepted file in ``partial``, as ``raw/<file>``."""
        today = datetime.now(UTC).date().isoformat()
        book = LockedBook(book_id, url, sha256, written.stat().st_size, today, file)
        self._before_writing()
        with open(self._journal, "a", encoding="ascii") as journal:
            journal.write(json.dumps(origin_of(book), ensure_ascii=True) + "\n")
        os.replace(written, self.layout.raw / book.file)
        (self._aside / book.file).unlink(missing_ok=True)
        self.held[book.book_id] = book

    def path_of(self, book_id: str) -> Path:
        """Where a held book lies now."""
        here = self.layout.raw / self.held[book_id].file
        return here if here.exists() else self._aside / here.name

    def is_finished(self, request: str) -> bool:
        """Whether an earlier run brought all that this request wants, and all of it is still whole."""
        status = self._status_of(request)
        return status is not None and not status["not_had"] and not self.damaged

    def known_missing(self, request: str) -> dict[str, MissingBook]:
        """Books that an earlier run of the same request did not bring, by id."""
        if self._status_of(request) is None:
            return {}
        rows = read_table(self.layout.missing, MISSING_COLUMNS)
        return {row["id"]: MissingBook(row["id"], row["reason"], row["detail"], row["url"]) for row in rows}

    def begin(self) -> None:
        """From here until ``finish`` the folder counts as unfinished."""
        self.layout.status.unlink(missing_ok=True)

    def finish(
        self,
        request: str,
        wanted: Mapping[str, CatalogueEntry],
        not_had: Mapping[str, MissingBook],
        refused: Mapping[str, MissingBook],
    ) -> None:
        """Leave exactly the wanted books in ``raw/`` and describe them; what stays the same is not touched.

        ``not_had`` could not be brought, ``refused`` are not to be used (their rights, above all).
        """
        absent = sorted([*not_had.values(), *refused.values()], key=lambda book: natural_key(book.book_id))
        used = self.held.keys() - {book.book_id for book in absent}
        books = {id_: replace(self.held[id_], entry=entry) for id_, entry in wanted.items() if id_ in used}
        self._before_writing()
        self._arrange(books)
        os.sync()  # The books before the lock that vouches for them; once, not for each file.
        rows = [{**vars(book), "id": book.book_id, "title": wanted[book.book_id].title} for book in absent]
        titled = [book_id for book_id, book in books.items() if book.entry.title]
        catalogue = {book_id: books[book_id].entry for book_id in sorted(titled, key=natural_key)}
        _write_if_changed(self.layout.lock, format_lock(books.values()))
        _write_if_changed(self.layout.catalogue, format_catalogue(catalogue))
        _write_if_changed(self.layout.missing, format_table(MISSING_COLUMNS, rows))
        counts = {"wanted": len(wanted), "here": len(books), "not_had": len(not_had), "refused": len(refused)}
        size = sum(book.bytes for book in books.values())
        write_json(self.layout.status, {"request": request, **counts, "bytes": size})

    def load(self) -> None:
        """Verify what lock and journal vouch for, and move everything else out of ``raw/``."""
        locked = read_lock(self.layout.lock) if self.layout.lock.is_file() else {}
        known = locked | self._read_journal()
        shutil.rmtree(self.partial, ignore_errors=True)
        for folder in (self.layout.raw, self._aside, self.partial):
            folder.mkdir(exist_ok=True)
        for book_id, book in track(known.items(), "verifying", len(known), "books"):
            if any(_is_whole(folder / book.file, book) for folder in (self.layout.raw, self._aside)):
                self.held[book_id] = book
            elif book_id in locked:
                self.damaged[book_id] = book
        if self.damaged:
            _LOG.warning("%s books are gone or were changed on disk; they are fetched again", f"{len(self.damaged):,}")
        self._clear_strays()

    def _status_of(self, request: str) -> dict[str, int] | None:
        status = read_json(self.layout.status) if self.layout.status.is_file() else {}
        return status if status.get("request") == request else None

    def _read_journal(self) -> dict[str, LockedBook]:
        """All books ever brought. After a crash the last line may be half a line."""
        books = {}
        for line in self._journal.read_bytes().splitlines() if self._journal.is_file() else ():
            try:
                book = book_of(json.loads(line), str(self._journal))
            except (ValueError, KeyError, TypeError, FileFormatError):
                continue
            books[book.book_id] = book
        return books

    def _arrange(self, wanted: Mapping[str, LockedBook]) -> None:
        counts = {"taken back": 0, "set aside, no longer wanted": 0}
        for book_id, book in self.held.items():
            here, aside = self.layout.raw / book.file, self._aside / book.file
            source, target = (aside, here) if book_id in wanted else (here, aside)
            if source.exists():
                os.replace(source, target)
                counts["taken back" if book_id in wanted else "set aside, no longer wanted"] += 1
        for what, count in counts.items():
            if count:
                _LOG.info("%s books %s", f"{count:,}", what)

    def _clear_strays(self) -> None:
        vouched = {book.file for book in self.held.values()}
        strays = self.layout.work / "strays"
        for path in sorted(self.layout.raw.iterdir()):
            if path.name not in vouched:
                strays.mkdir(exist_ok=True)
                _LOG.warning("%s: no lock vouches for it; moved to %s", path, strays)
                os.replace(path, strays / path.name)


@contextmanager
def open_store(directory: Path) -> Iterator[BookStore]:
    """The store in ``directory``, verified, for this process alone.

    Waits while another process is at work in it. Raises UserError where the folder holds other files or cannot be
    written.
    """
    layout = Layout(directory)
    raw, work = layout.raw, layout.work
    if not work.is_dir() and raw.is_dir() and any(raw.iterdir()):
        raise UserError(
            f"{raw}: holds files that were not brought by acquire_books; name a new folder as corpus.directory, "
            "or use what is there with corpus.source: directory"
        )
    with Lease(work / "acquire_books.lock") as alone:
        try:
            alone.acquire()
        except OSError as error:
            raise UserError(f"{work}: cannot be written ({error.strerror})") from None
        store = BookStore(directory, alone.check)
        store.load()
        yield store


def _is_whole(path: Path, book: LockedBook) -> bool:
    try:
        return path.stat().st_size == book.bytes and sha256_file(path) == book.sha256
    except OSError:
        return False


def _write_if_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
        write_text(path, text)
