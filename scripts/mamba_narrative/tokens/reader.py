"""Read the token files of a split or a shard; `tokens/writer.py` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import damaged, read_json, read_table, sha256_file

DTYPE = "<u2"
TOKEN_BYTES = 2
BOOK_COLUMNS = ("book_id", "first_token", "tokens", "characters", "bytes", "words")
_MANIFEST_KEYS = ("split", "dtype", "tokens", "books", "sha256", "books_sha256", "tokenizer")


@dataclass(frozen=True)
class BookTokens:
    """Where one book lies in a token file."""

    book_id: str
    first_token: int
    tokens: int
    """Number of ids, the end-of-text token that closes every book included."""
    characters: int
    bytes: int
    """UTF-8 bytes of the text."""
    words: int


class TokenFile:
    """The tokens of one split, mapped into memory.

    ``ids``: uint16 [tokens], the books one after the other, each closed by an end-of-text token.
    """

    ids: npt.NDArray[np.uint16]
    books: list[BookTokens]
    manifest: dict[str, Any]

    def __init__(self, directory: Path, split: str) -> None:
        """Open ``{split}.bin`` with its ``.json`` and ``.books.tsv``, and compare all with the hashes of the manifest.

        Raises FileFormatError with the path where files do not belong together, UserError where one is missing.
        """
        self.path = Path(directory) / f"{split}.bin"
        self.manifest = _read_manifest(self.path.with_suffix(".json"), split)
        table = self.path.with_suffix(".books.tsv")
        self.books = read_book_table(table)
        self._check(table, "books_sha256")
        if len(self.books) != self.manifest["books"]:
            raise _mismatch(table, f"{len(self.books)} books, the manifest says {self.manifest['books']}")
        self.ids = map_tokens(self.path, self.manifest["tokens"])
        if sum(book.tokens for book in self.books) != len(self.ids):
            raise _mismatch(table, f"its books do not add up to the {len(self.ids)} tokens of the file")
        self._check(self.path, "sha256")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def end_of_text_id(self) -> int:
        """The id that closes every book."""
        return self.manifest["tokenizer"]["end_of_text_id"]

    def _check(self, path: Path, key: str) -> None:
        if sha256_file(path) != self.manifest[key]:
            raise damaged(path, self.path.with_suffix(".json"))

    def book_ids(self, book: BookTokens) -> npt.NDArray[np.uint16]:
        """The ids of one book, uint16 [book.tokens], without copying; the last one is the end of text."""
        return self.ids[book.first_token : book.first_token + book.tokens]


def read_book_table(path: Path) -> list[BookTokens]:
    """The books of a ``.books.tsv``, which must follow each other without gaps. Raises FileFormatError."""
    books, expected = [], 0
    for number, row in enumerate(read_table(path, BOOK_COLUMNS), start=2):
        try:
            counts = [int(row[name]) for name in BOOK_COLUMNS[1:]]
        except ValueError as error:
            raise FileFormatError(f"{path}:{number}: {error}") from None
        book = BookTokens(row["book_id"], *counts)
        if book.first_token != expected or book.tokens < 1:
            raise FileFormatError(
                f"{path}:{number}: book {book.book_id} has {book.tokens} tokens from {book.first_token} on; "
                f"expected at least one, from {expected} on"
            )
        expected += book.tokens
        books.append(book)
    return books


def map_tokens(path: Path, tokens: int) -> npt.NDArray[np.uint16]:
    """The ids of a ``.bin`` file, read-only. Raises UserError where it is missing, FileFormatError for another size."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run the token stage again") from None
    if size != TOKEN_BYTES * tokens:
        raise _mismatch(path, f"{size} bytes, expected {TOKEN_BYTES * tokens} for {tokens} tokens")
    # An empty file cannot be mapped.
    return np.memmap(path, dtype=DTYPE, mode="r") if tokens else np.empty(0, DTYPE)


def _read_manifest(path: Path, split: str) -> dict[str, Any]:
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not manifest.keys() >= set(_MANIFEST_KEYS):
        raise FileFormatError(f"{path}: not a token manifest; expected the keys {', '.join(_MANIFEST_KEYS)}")
    if manifest["split"] != split or manifest["dtype"] != DTYPE:
        raise FileFormatError(
            f"{path}: split {manifest['split']!r} with dtype {manifest['dtype']!r}; expected {split!r} with {DTYPE!r}"
        )
    return manifest


def _mismatch(path: Path, fault: str) -> FileFormatError:
    return FileFormatError(f"{path}: {fault}; files that do not belong together: run the token stages again")
