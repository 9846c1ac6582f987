"""The tables of all stages, joined to one row a raw book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mamba_narrative.corpus.formats.book_table import BOOK_TABLE_COLUMNS, write_books
from mamba_narrative.corpus.formats.cluster_table import read_clusters
from mamba_narrative.corpus.formats.decisions import USED_DECISIONS
from mamba_narrative.corpus.formats.selection_table import read_selections
from mamba_narrative.corpus.formats.split_table import SPLITS, read_split
from mamba_narrative.corpus.raw.inventory import natural_key
from mamba_narrative.errors import FileFormatError
from mamba_narrative.tokens.reader import read_book_table


def join_rows(
    selections: Mapping[str, Mapping[str, str]],
    clusters: Mapping[str, Mapping[str, str]],
    split_by_book: Mapping[str, str],
    tokens: Mapping[str, str],
) -> list[dict[str, Any]]:
    """One row a raw book (a key of ``selections``), in order of ids; what a book has no part in stays empty.

    Raises FileFormatError where another table names a book that the selection does not use, where a book in a split
    has no tokens, or where tokens belong to a book in no split.
    """
    used = {book_id for book_id, row in selections.items() if row["decision"] in USED_DECISIONS}
    for name, book_ids in (("clusters", clusters), ("splits", split_by_book)):
        if strangers := sorted(set(book_ids) - used, key=natural_key):
            raise FileFormatError(
                f"{name}: book {strangers[0]} is not one that the selection uses; run that step again"
            )
    if differing := sorted(set(split_by_book) ^ set(tokens), key=natural_key):
        raise FileFormatError(
            f"book {differing[0]} is in a split or has tokens, but not both; run assemble_tokens again"
        )
    rows = []
    for book_id in sorted(selections, key=natural_key):
        cluster = clusters.get(book_id, {})
        rows.append(
            {
                **{column: selections[book_id].get(column, "") for column in BOOK_TABLE_COLUMNS},
                **{column: cluster.get(column, "") for column in ("cluster", "role", "duplicate_of")},
                "book_id": book_id,
                "split": split_by_book.get(book_id, ""),
                "tokens": tokens.get(book_id, ""),
            }
        )
    return rows


def join_books(
    selection_directory: Path,
    shard_names: Sequence[str],
    clusters_path: Path,
    splits_directory: Path,
    tokens_directory: Path,
    output: Path,
) -> None:
    """Join the tables of all stages. Raises UserError where one is missing, FileFormatError where they contradict."""
    split_by_book: dict[str, str] = {}
    tokens: dict[str, str] = {}
    for split in SPLITS:
        path = splits_directory / f"{split}.tsv"
        for row in read_split(path):
            if row["book_id"] in split_by_book:
                raise FileFormatError(f"{path}: book {row['book_id']} is in {split_by_book[row['book_id']]}, too")
            split_by_book[row["book_id"]] = split
        encoded = read_book_table(tokens_directory / f"{split}.books.tsv")
        tokens |= {book.book_id: str(book.tokens) for book in encoded}
    rows = join_rows(
        read_selections(selection_directory, shard_names), read_clusters(clusters_path), split_by_book, tokens
    )
    write_books(output, rows)
