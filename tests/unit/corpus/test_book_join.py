"""The join of all stages: every raw book in one row."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.corpus.book_join import join_books, join_rows
from mamba_narrative.corpus.formats.book_table import BOOK_TABLE_COLUMNS, read_books
from mamba_narrative.corpus.formats.cluster_table import write_clusters
from mamba_narrative.corpus.formats.selection_table import write_selection
from mamba_narrative.corpus.formats.split_table import SPLITS, write_split
from mamba_narrative.corpus.raw.inventory import natural_key
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import write_table
from mamba_narrative.tokens.reader import BOOK_COLUMNS

BOOKS = st.dictionaries(
    st.integers(1, 500).map(str), st.sampled_from(["drop", "duplicate", "train", "validation", "test"]), max_size=30
)


def selection(book_id: str, decision: str = "keep") -> dict[str, str]:
    reasons = "play" if decision == "drop" else ""
    return {
        "book_id": book_id, "decision": decision, "reasons": reasons, "title": f"Book {book_id}", "author": "Someone",
        "year": "", "language": "en", "words": "10", "characters": "60", "shard": "000", "verse_fraction": "0",
    }  # fmt: skip


def tables(fates: dict[str, str]):
    """The four tables of books that are dropped, duplicates, or in a split."""
    selections = {book: selection(book, "drop" if fate == "drop" else "keep") for book, fate in fates.items()}
    clusters = {
        book: {
            "book_id": book,
            "cluster": book,
            "role": "duplicate" if fate == "duplicate" else "representative",
            "duplicate_of": "",
        }
        for book, fate in fates.items()
        if fate != "drop"
    }
    split_by_book = {book: fate for book, fate in fates.items() if fate not in ("drop", "duplicate")}
    return selections, clusters, split_by_book, dict.fromkeys(split_by_book, "17")


@settings(max_examples=200, deadline=None)
@given(BOOKS)
def test_every_raw_book_is_in_exactly_one_row(fates):
    rows = join_rows(*tables(fates))
    assert [row["book_id"] for row in rows] == sorted(fates, key=natural_key)
    for row in rows:
        fate = fates[row["book_id"]]
        assert set(row) == set(BOOK_TABLE_COLUMNS)
        assert row["split"] == (fate if fate in SPLITS else "")
        assert bool(row["tokens"]) == bool(row["split"])
        assert bool(row["cluster"]) == (fate != "drop")
        assert bool(row["reasons"]) == (fate == "drop")


def test_tables_that_contradict_each_other_are_refused():
    selections, clusters, splits, tokens = tables({"1": "train", "2": "test", "3": "drop"})
    with pytest.raises(FileFormatError, match="clusters: book 3"):
        join_rows(selections, clusters | {"3": {}}, splits, tokens)
    with pytest.raises(FileFormatError, match="splits: book 3"):
        join_rows(selections, clusters, splits | {"3": "train"}, tokens | {"3": "1"})
    with pytest.raises(FileFormatError, match=r"book 2 .* run assemble_tokens again"):
        join_rows(selections, clusters, splits, {"1": "17"})


def write_results(folder):
    selections, clusters, splits, tokens = tables(
        {"1": "train", "2": "duplicate", "3": "validation", "4": "test", "11": "drop"}
    )
    write_selection(folder / "selection" / "000.tsv", (), list(selections.values())[:3])
    write_selection(folder / "selection" / "001.tsv", (), list(selections.values())[3:])
    write_clusters(folder / "clusters.tsv", clusters.values())
    for split in SPLITS:
        rows = [
            {"book_id": book, "shard": "000", "cluster": book, "words": 10, "characters": 60, "bytes": 60}
            | {"first_token": 0, "tokens": tokens[book]}
            for book, found in splits.items()
            if found == split
        ]
        write_split(folder / "splits" / f"{split}.tsv", rows)
        write_table(folder / "tokens" / f"{split}.books.tsv", BOOK_COLUMNS, rows)
    return folder / "selection", ["000", "001"], folder / "clusters.tsv", folder / "splits", folder / "tokens"


def test_the_files_of_all_stages_are_joined(tmp_path):
    join_books(*write_results(tmp_path), tmp_path / "books.tsv")
    rows = read_books(tmp_path / "books.tsv")
    assert tuple(rows[0]) == BOOK_TABLE_COLUMNS
    assert [(row["book_id"], row["decision"], row["role"], row["split"], row["tokens"]) for row in rows] == [
        ("1", "keep", "representative", "train", "17"),
        ("2", "keep", "duplicate", "", ""),
        ("3", "keep", "representative", "validation", "17"),
        ("4", "keep", "representative", "test", "17"),
        ("11", "drop", "", "", ""),
    ]


def test_a_missing_file_and_a_book_in_two_splits_are_errors_for_people(tmp_path):
    inputs = write_results(tmp_path)
    (tmp_path / "tokens" / "test.books.tsv").rename(tmp_path / "elsewhere.tsv")
    with pytest.raises(UserError, match=r"test\.books\.tsv: cannot be read"):
        join_books(*inputs, tmp_path / "books.tsv")
    (tmp_path / "splits" / "test.tsv").write_bytes((tmp_path / "splits" / "train.tsv").read_bytes())
    with pytest.raises(FileFormatError, match="book 1 is in train, too"):
        join_books(*inputs, tmp_path / "books.tsv")
    assert not (tmp_path / "books.tsv").exists()
