"""Which raw books a folder holds: one book an id, its best file variant, and the shard it belongs to.

Understood names: ``1342.txt``, ``pg1342.txt``, ``1342-0.txt`` (UTF-8), ``1342-8.txt`` (8-bit), each also as
``.txt.gz`` or ``.zip``; any other stem is its own id. The Snakefile calls this while it is parsed, so imports are
cheap.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mamba_narrative.errors import UserError
from mamba_narrative.file_digests import FileDigests
from mamba_narrative.io import canonical_json, sha256_text

_LOG = logging.getLogger(__name__)
_ENDINGS = re.compile(r"(?P<stem>.+?)(?P<packing>\.txt(?:\.utf-?8)?|\.txt\.gz|\.zip)", re.IGNORECASE | re.DOTALL)
_GUTENBERG_STEM = re.compile(r"(?P<prefix>pg)?(?P<number>\d{1,9})(?P<variant>-\d)?", re.IGNORECASE)
# -0 is UTF-8; pg1342 is made by Project Gutenberg from its master, UTF-8 too; -8 keeps accents that plain ASCII lost.
_VARIANT_RANKS = {"-0": 0, "pg": 1, "-8": 2, "": 3}
_UNKNOWN_VARIANT_RANK = 4
"""Behind those known."""
_PACKING_RANKS = {".txt.gz": 1, ".zip": 2}
_MAX_ID_BYTES = 120
"""File systems allow names of 255 bytes, and endings are added."""


@dataclass(frozen=True)
class RawBook:
    """One book of a source folder."""

    book_id: str
    """Safe as a file name and unique in the folder."""
    path: str
    """Chosen file, relative to the folder; bytes that are not UTF-8 appear as surrogate escapes."""
    others: tuple[tuple[str, str], ...] = field(default=())
    """Files of the same id that are not used, each with a reason: ``other_variant`` or ``duplicate_id``."""
    problem: str | None = None
    """Reason why the file cannot be used at all, known without opening it."""

    @property
    def shown_path(self) -> str:
        """The path as valid Unicode, for tables and messages."""
        return self.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shard_of(book_id: str, shards: int) -> str:
    """Name of the shard (``"003"``) that a book belongs to, whatever other books there are."""
    number = int.from_bytes(hashlib.sha256(book_id.encode("utf-8")).digest()[:8], "big") % shards
    return f"{number:0{max(3, len(str(shards - 1)))}d}"


def list_books(directory: Path) -> list[RawBook]:
    """All raw books below ``directory``, sorted by id (numbers by value). Raises UserError where it is no folder."""
    if not os.path.isdir(directory):
        raise UserError(f"corpus.directory: {directory} is not a folder; expected the folder of raw books")
    candidates: dict[str, list[tuple[tuple[int, int, int, str], str]]] = defaultdict(list)
    for path in _files_below(str(directory)):
        if parsed := _parse_name(os.path.basename(path)):
            book_id, variant_rank, packing_rank = parsed
            candidates[book_id].append(((variant_rank, packing_rank, path.count(os.sep), path), path))
    books = [_choose(str(directory), book_id, sorted(found)) for book_id, found in candidates.items()]
    return sorted(books, key=lambda book: natural_key(book.book_id))


def book_id_of(name: str) -> str | None:
    """Id of the book that a file of this name holds: ``pg1342.txt`` is 1342; None where it is no raw book."""
    parsed = _parse_name(name)
    return parsed and parsed[0]


def natural_key(book_id: str) -> tuple[int, int, str]:
    """Sort key that puts Gutenberg numbers first, by value, then other ids by their text."""
    is_number = len(book_id) <= 18 and book_id.isascii() and book_id.isdigit()
    return (0, int(book_id), "") if is_number else (1, 0, book_id)


def books_by_shard(directory: Path, shards: int) -> dict[str, list[RawBook]]:
    """The books of each shard that has any, by shard name."""
    grouped: dict[str, list[RawBook]] = defaultdict(list)
    for book in list_books(directory):
        grouped[shard_of(book.book_id, shards)].append(book)
    return dict(sorted(grouped.items()))


def shard_digests(
    directory: Path, shards: Mapping[str, Sequence[RawBook]], digests: FileDigests, max_book_bytes: int
) -> dict[str, str]:
    """For each shard the hexadecimal SHA-256 of what it is made from: ids, file names, contents, files not used.

    A file above ``max_book_bytes`` is refused whatever it holds, so only its size counts and it is not read.
    """
    paths = {book.book_id: os.path.join(directory, book.path) for books in shards.values() for book in books}
    contents = {
        book.book_id: fault
        for books in shards.values()
        for book in books
        if (fault := book.problem or _fault_of_size(paths[book.book_id], max_book_bytes))
    }
    readable = [book_id for book_id in paths if book_id not in contents]
    contents |= zip(readable, digests.of_all(paths[book_id] for book_id in readable), strict=True)
    return {
        shard: sha256_text(canonical_json([[b.book_id, b.path, contents[b.book_id], b.others] for b in books]))
        for shard, books in shards.items()
    }


def _fault_of_size(path: str, max_book_bytes: int) -> str | None:
    try:
        size = os.stat(path).st_size
    except OSError:
        return None  # said by whoever reads it
    return f"{size} bytes" if size > max_book_bytes else None


def _files_below(root: str) -> Iterator[str]:
    folders = [""]
    while folders:
        relative = folders.pop()
        try:
            with os.scandir(os.path.join(root, relative)) as entries:
                found = list(entries)
        except OSError as error:
            shown = os.path.join(root, relative)
            _LOG.warning("%.200s: this folder cannot be opened (%s); its books are not seen", shown, error.strerror)
            continue
        for entry in found:
            if not entry.name.startswith("."):
                path = os.path.join(relative, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                else:
                    yield path


def _parse_name(name: str) -> tuple[str, int, int] | None:
    match = _ENDINGS.fullmatch(name)
    if match is None:
        return None
    stem, packing_rank = match["stem"], _PACKING_RANKS.get(match["packing"].lower(), 0)
    gutenberg = _GUTENBERG_STEM.fullmatch(stem)
    if gutenberg is None:
        return _safe_id(stem), 0, packing_rank
    variant = gutenberg["variant"] or ("pg" if gutenberg["prefix"] else "")
    return str(int(gutenberg["number"])), _VARIANT_RANKS.get(variant, _UNKNOWN_VARIANT_RANK), packing_rank


def _safe_id(stem: str) -> str:
    """The stem with everything but letters, digits, ``.``, ``_`` and ``-`` written as ``%`` and two hex digits."""
    normal = unicodedata.normalize("NFC", stem)
    characters = []
    for position, character in enumerate(normal):
        plain = character.isalnum() or character in "_-" or (character == "." and position > 0)
        characters.append(
            character if plain else "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
        )
    safe = "".join(characters)
    if len(safe.encode("utf-8")) > _MAX_ID_BYTES:
        digest = hashlib.sha256(safe.encode("utf-8")).hexdigest()[:12]
        safe = safe.encode("utf-8")[: _MAX_ID_BYTES - 13].decode("utf-8", "ignore") + "-" + digest
    return safe


def _choose(root: str, book_id: str, ranked: list[tuple[tuple[int, int, int, str], str]]) -> RawBook:
    (best_rank, best), *rest = ranked
    others = tuple((path, "duplicate_id" if rank[:2] == best_rank[:2] else "other_variant") for rank, path in rest)
    return RawBook(book_id, best, others, _problem(root, best))


def _problem(root: str, path: str) -> str | None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "file_name_not_utf8"
    full_path = os.path.join(root, path)
    try:
        if not stat.S_ISREG(os.stat(full_path).st_mode):
            return "not_a_regular_file"
    except OSError:
        return "unreadable_file"
    return None if os.access(full_path, os.R_OK) else "unreadable_file"
