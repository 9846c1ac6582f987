"""The splits as other programs read them."""

from __future__ import annotations

import pytest

from mamba_narrative.corpus.dataset_export import export_dataset
from mamba_narrative.corpus.formats.book_table import BOOK_TABLE_COLUMNS, write_books
from mamba_narrative.corpus.formats.selection_table import write_selection
from mamba_narrative.corpus.formats.split_table import SPLITS, write_split
from mamba_narrative.errors import FileFormatError
from unit.corpus.stripped_shard import write_stripped

BOOKS = {
    "1": ("train", "The sea.\n\nNaïve “waves”."),
    "2": ("train", "Verse.Story."),
    "3": ("validation", "A door."),
    "x": ("test", "Rain."),
}


@pytest.fixture
def results(tmp_path):
    selection = [
        {"book_id": book, "decision": "partial" if book == "2" else "keep", "reasons": "", "words": 2, "characters": 9,
         "ranges": "6-12" if book == "2" else ""}
        for book in BOOKS
    ]  # fmt: skip
    write_selection(tmp_path / "selection" / "000.tsv", (), selection)
    for split in SPLITS:
        rows = [
            {"book_id": book, "shard": "000", "cluster": f"c{book}", "words": 2, "characters": 9}
            for book, (where, _) in BOOKS.items()
            if where == split
        ]
        write_split(tmp_path / "splits" / f"{split}.tsv", rows)
    table = [
        dict.fromkeys(BOOK_TABLE_COLUMNS, "")
        | {"book_id": book, "title": f"Title {book}", "author": "A, B", "words": 2, "tokens": 5}
        for book in BOOKS
    ]
    write_books(tmp_path / "books.tsv", table)
    write_stripped(tmp_path / "stripped" / "000", {book: text for book, (_, text) in BOOKS.items()})
    return tmp_path


def export(results):
    export_dataset(
        results / "books.tsv", results / "splits", results / "selection", results / "stripped", ["000"],
        results / "dataset",
    )  # fmt: skip


def test_the_datasets_library_reads_the_folder(results, monkeypatch):
    from datasets import load_dataset

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    export(results)
    found = load_dataset(str(results / "dataset"), cache_dir=str(results / "cache"))
    assert {split: rows["id"][:] for split, rows in found.items()} == {
        "train": ["1", "2"], "validation": ["3"], "test": ["x"],
    }  # fmt: skip
    first, part = found["train"][0], found["train"][1]
    assert first["text"] == BOOKS["1"][1]
    assert (first["title"], first["author"], first["cluster"], first["words"], first["tokens"]) == (
        "Title 1", "A, B", "c1", 2, 5,
    )  # fmt: skip
    assert part["text"].strip() == "Story."


def test_a_book_that_no_table_knows_is_refused_and_nothing_is_written(results):
    lines = (results / "books.tsv").read_text().splitlines(keepends=True)
    (results / "books.tsv").write_text("".join(line for line in lines if not line.startswith("3\t")))
    with pytest.raises(FileFormatError, match="validation: book 3"):
        export(results)
    assert not (results / "dataset").exists()
