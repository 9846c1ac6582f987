"""The splits as a dataset folder of Parquet files, which ``datasets.load_dataset`` reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from mamba_narrative.corpus.formats.book_table import read_books
from mamba_narrative.corpus.formats.selection_table import read_kept_text, read_selections
from mamba_narrative.corpus.formats.split_table import SPLITS, read_split
from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import atomic_directory, write_text
from mamba_narrative.progress import track

TEXT_COLUMNS = ("id", "title", "author", "year", "split", "cluster", "text")
"""Columns of strings; besides them ``words`` and ``tokens``."""
_ROWS_OF_A_GROUP = 16
"""Books held in memory at once."""


def export_dataset(
    books: Annotated[Path, "table of all books"],
    splits_directory: Annotated[Path, "folder of the splits' manifests"],
    selection_directory: Annotated[Path, "folder of <shard>.tsv"],
    stripped_root: Annotated[Path, "folder of <shard>/<book>.txt"],
    shard_names: Annotated[Sequence[str], "names of all shards"],
    output: Annotated[Path, "folder to write"],
) -> None:
    """Write ``<split>.parquet`` and a dataset card to the folder ``output``, all or nothing.

    One row a book in the order of its split's manifest, with the text that models are trained on. Raises
    FileFormatError where a book of a split is missing in ``books``.
    """
    known = {row["book_id"]: row for row in read_books(books)}
    selections = read_selections(selection_directory, shard_names)
    manifests = {split: read_split(splits_directory / f"{split}.tsv") for split in SPLITS}
    with atomic_directory(output) as beside:
        for split, manifest in manifests.items():
            rows = _rows(split, manifest, known, selections, stripped_root)
            _write_parquet(beside / f"{split}.parquet", track(rows, f"dataset, {split}", len(manifest), "books"))
        write_text(beside / "README.md", dataset_card({split: len(rows) for split, rows in manifests.items()}))


def _rows(
    split: str,
    manifest: Sequence[Mapping[str, str]],
    books: Mapping[str, Mapping[str, str]],
    selections: Mapping[str, Mapping[str, str]],
    stripped_root: Path,
) -> Iterator[dict[str, Any]]:
    for row in manifest:
        book_id = row["book_id"]
        if book_id not in books or book_id not in selections:
            raise FileFormatError(f"{split}: book {book_id} is not in the table of books; run join_books again")
        book = books[book_id]
        yield {
            "id": book_id,
            "title": book["title"],
            "author": book["author"],
            "year": book["year"],
            "split": split,
            "cluster": row["cluster"],
            "words": int(book["words"]),
            "tokens": int(book["tokens"]),
            "text": read_kept_text(stripped_root / row["shard"], selections[book_id]),
        }


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    fields = [(name, pyarrow.string()) for name in TEXT_COLUMNS[:-1]]
    fields += [("words", pyarrow.int64()), ("tokens", pyarrow.int64()), (TEXT_COLUMNS[-1], pyarrow.large_string())]
    schema = pyarrow.schema(fields)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        for row in rows:
            group.append(row)
            if len(group) == _ROWS_OF_A_GROUP:
                writer.write_table(pyarrow.Table.from_pylist(group, schema))
                group = []
        if group:
            writer.write_table(pyarrow.Table.from_pylist(group, schema))


def dataset_card(books: Mapping[str, int]) -> str:
    """README.md of the folder, with the header from which ``datasets`` learns which file is which split."""
    files = "\n".join(f"      - split: {split}\n        path: {split}.parquet" for split in books)
    counts = "\n".join(f"| {split} | {count:,} |" for split, count in books.items())
    return f"""---
language:
  - en
task_categories:
  - text-generation
configs:
  - config_name: default
    data_files:
{files}
---

# English narrative prose from Project Gutenberg

Whole books, stripped of headers, licences, credits, notes and front matter; fiction and other narration only; editions
and other books that share text are in one split (`cluster`), and duplicates are left out.

| split | books |
|---|---|
{counts}

Columns: `id` (Project Gutenberg's number or the name of the file), `title`, `author`, `year`, `split`, `cluster`,
`words`, `tokens` (GPT-2, with the end of text), `text`.

The texts are books that Project Gutenberg marks as in the public domain in the USA; elsewhere other laws may hold. This
is no publication of Project Gutenberg, whose name is a trademark, and its licence text is not part of it.
"""
