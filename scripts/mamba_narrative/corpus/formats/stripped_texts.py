"""Stripped texts, ``<shard>/<book_id>.txt``, and ``<shard>.manifest.tsv`` with hash and sizes of each.

A text is compared with its hash when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import damaged, read_table, read_text, sha256_text, write_table

_COLUMNS = ("book_id", "sha256", "characters", "bytes", "words")


def describe(book_id: str, text: str) -> dict[str, Any]:
    """The row of a text."""
    encoded = len(text.encode("utf-8"))
    sizes = {"characters": len(text), "bytes": encoded, "words": len(text.split())}
    return {"book_id": book_id, "sha256": sha256_text(text), **sizes}


def write_manifest(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write what ``describe`` says of the texts of a shard."""
    write_table(path, _COLUMNS, rows)


def read_manifest(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a shard by book id."""
    return {row["book_id"]: row for row in read_table(path, _COLUMNS)}


def read_stripped_text(folder: Path, book_id: str, manifest: Path | None = None) -> str:
    """The stripped text of a book, ``<folder>/<book_id>.txt``.

    manifest: table of the texts' hashes; None is the one that ``strip_books`` writes beside ``folder``. Raises
    UserError where a file cannot be read, FileFormatError where the book is not listed or its text is another.
    """
    manifest = manifest or folder.with_name(f"{folder.name}.manifest.tsv")
    path, hashes = folder / f"{book_id}.txt", _hashes(manifest)
    if book_id not in hashes:
        raise FileFormatError(f"{manifest}: book {book_id} is missing, but selected; strip its shard again")
    text = read_text(path)
    if sha256_text(text) != hashes[book_id]:
        raise damaged(path, manifest, folder)
    return text


@cache
def _hashes_at(manifest: Path, modified_ns: int) -> dict[str, str]:
    return {book_id: row["sha256"] for book_id, row in read_manifest(manifest).items()}


def _hashes(manifest: Path) -> dict[str, str]:
    # A shard's books are read one after the other, and shards alternate: all manifests together are small.
    return _hashes_at(manifest, manifest.stat().st_mtime_ns if manifest.is_file() else 0)
