"""Write token files: little-endian uint16 ids of whole books, each closed by an end-of-text token.

A shard holds every selected book; a split is copied together from shards in the order of its manifest, so changing
a split encodes nothing again. One book at a time is in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mamba_narrative.corpus.formats.decisions import USED_DECISIONS
from mamba_narrative.corpus.formats.selection_table import kept_text, parse_ranges, read_selection
from mamba_narrative.corpus.formats.split_table import read_split
from mamba_narrative.corpus.formats.stripped_texts import describe, read_manifest, read_stripped_text
from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import (
    atomic_path,
    recorded_outputs,
    sha256_file,
    verify,
    write_json,
    write_table,
)
from mamba_narrative.progress import track
from mamba_narrative.tokens.reader import BOOK_COLUMNS, DTYPE, TOKEN_BYTES, BookTokens, map_tokens, read_book_table
from mamba_narrative.tokens.tokenizer import Tokenizer


def encode_books(
    selection: Path, stripped: Path, manifest: Path, tokenizer: Tokenizer, tokens_path: Path, books_path: Path
) -> int:
    """Encode the selected books of one shard; returns the number of tokens.

    ``selection``: table of decisions, with ``ranges`` of books used in part; its order is kept.
    ``stripped``: folder of ``<book_id>.txt``. ``manifest``: table of the texts' hashes and sizes.
    Raises FileFormatError where a text is not the one in the manifest or a selected book is not in it.
    """
    described: Mapping[str, Mapping[str, Any]] = read_manifest(manifest)
    selected = [row for row in read_selection(selection) if row["decision"] in USED_DECISIONS]
    rows, first_token = [], 0
    with atomic_path(tokens_path) as beside, beside.open("wb") as stream:
        for row in track(selected, "encoding", len(selected), "books"):
            book_id = row["book_id"]
            if book_id not in described:
                raise FileFormatError(f"{manifest}: book {book_id} is missing, but {selection} selects it")
            description = described[book_id]
            text = read_stripped_text(stripped, book_id, manifest)
            if ranges := parse_ranges(row.get("ranges", "")):
                text = kept_text(text, ranges)
                description = describe(book_id, text)
            ids = np.append(tokenizer.encode_book(text), np.uint16(tokenizer.end_of_text_id)).astype(DTYPE)
            stream.write(ids.tobytes())
            rows.append({**description, "first_token": first_token, "tokens": len(ids)})
            first_token += len(ids)
    write_table(books_path, BOOK_COLUMNS, rows)
    return first_token


def assemble_splits(
    splits: Mapping[str, Path], shards: Path, tokenizer: Mapping[str, Any], directory: Path
) -> dict[str, int]:
    """Copy the books of each split together; returns the number of tokens by split.

    ``splits``: split name to its table. ``shards``: folder of ``<shard>.bin`` and
    ``<shard>.books.tsv``. ``tokenizer``: what its ``describe()`` says. Raises FileFormatError where a book is in no
    shard or was not encoded with this tokenizer.
    """
    index: dict[str, dict[str, BookTokens]] = {}
    return {
        split: _assemble(split, manifest, shards, index, tokenizer, directory) for split, manifest in splits.items()
    }


def _assemble(
    split: str,
    manifest: Path,
    shards: Path,
    index: dict[str, dict[str, BookTokens]],
    tokenizer: Mapping[str, Any],
    directory: Path,
) -> int:
    wanted = [(row["book_id"], row["shard"]) for row in read_split(manifest)]
    target = directory / f"{split}.bin"
    table = directory / f"{split}.books.tsv"
    rows, first_token, digest = [], 0, hashlib.sha256()
    # Its hash is in its manifest, which goes where the tokens go.
    with recorded_outputs(False), atomic_path(target) as beside, beside.open("wb") as stream:
        for book_id, shard in track(wanted, f"assembling {split}", len(wanted), "books"):
            tokens_path = shards / f"{shard}.bin"
            if shard not in index:
                index[shard] = _index_shard(shards / f"{shard}.books.tsv", tokens_path)
            book = index[shard].get(book_id)
            if book is None:
                raise FileFormatError(f"{tokens_path}: book {book_id} of {manifest} is missing; encode the shard again")
            data = _read_book(tokens_path, book, tokenizer["end_of_text_id"])
            stream.write(data)
            digest.update(data)
            rows.append({**vars(book), "first_token": first_token})
            first_token += book.tokens
    write_table(table, BOOK_COLUMNS, rows)
    write_json(
        directory / f"{split}.json",
        {
            "split": split,
            "dtype": DTYPE,
            "tokens": first_token,
            "books": len(rows),
            "sha256": digest.hexdigest(),
            "books_sha256": sha256_file(table),
            "tokenizer": dict(tokenizer),
        },
    )
    return first_token


def _index_shard(table: Path, tokens_path: Path) -> dict[str, BookTokens]:
    books = read_book_table(table)
    verify(tokens_path)
    map_tokens(tokens_path, sum(book.tokens for book in books))
    return {book.book_id: book for book in books}


def _read_book(path: Path, book: BookTokens, end_of_text_id: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(TOKEN_BYTES * book.first_token)
        data = stream.read(TOKEN_BYTES * book.tokens)
    last = int(np.frombuffer(data[-TOKEN_BYTES:], DTYPE)[0])
    if last != end_of_text_id:
        raise FileFormatError(
            f"{path}: book {book.book_id} ends with token {last}, not with the end of text {end_of_text_id}; "
            "it was encoded with another tokenizer: encode the shard again"
        )
    return data
