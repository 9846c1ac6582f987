"""Datasets of books, one a row, read by the real library from local Parquet files of the shapes that are on the Hub."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from loopback_library import catalogue_of, made_up_book
from mamba_narrative.acquisition import hugging_face
from mamba_narrative.acquisition.acquire import acquire
from mamba_narrative.acquisition.lock import read_lock
from mamba_narrative.acquisition.state import find_acquired
from mamba_narrative.config.corpus import CorpusSettings
from mamba_narrative.corpus.raw.catalogue import read_catalogue
from mamba_narrative.corpus.raw.inventory import list_books
from mamba_narrative.errors import UserError
from mamba_narrative.io import read_table


def text(number: int) -> str:
    return made_up_book(number).decode()


def body(number: int) -> str:
    """A text whose header was removed."""
    return text(number).split("***")[2]


def manu(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": f"{number}-0", "text": text(number)} for number in numbers]


def sedthh(*numbers: int) -> list[dict[str, Any]]:
    about = {
        "language": "en",
        "authors": "Doe, Jane",
        "subjects": "Fiction; Sea stories",
        "locc": "PR",
        "issued": "2001-02-03",
    }
    return [
        {
            "TEXT": body(n),
            "SOURCE": "Project Gutenberg",
            "METADATA": json.dumps({"text_id": n, "title": f"Book {n}", **about}),
        }
        for n in numbers
    ]


def pg19(*numbers: int) -> list[dict[str, Any]]:
    return [
        {
            "short_book_title": f"Book {number} by Jane Doe",
            "publication_date": 1880 + number,
            "url": f"http://www.gutenberg.org/ebooks/{number}",
            "text": body(number),
        }
        for number in numbers
    ]


@pytest.fixture
def dataset(tmp_path: Path):
    """Write rows as Parquet and return the settings that read them."""

    def write(rows: list[dict[str, Any]], files: int = 1, **changes: Any) -> CorpusSettings:
        folder = tmp_path / "dataset"
        folder.mkdir(exist_ok=True)
        size = -(-len(rows) // files)
        for part in range(files):
            table = pyarrow.Table.from_pylist(rows[part * size : (part + 1) * size])
            pyarrow.parquet.write_table(table, folder / f"train-{part}.parquet", row_group_size=2)
        return CorpusSettings.model_validate(
            {
                "source": "huggingface",
                "directory": str(tmp_path / "books"),
                "huggingface": {"dataset": str(folder), **changes.pop("huggingface", {})},
                **changes,
            }
        )

    return write


def raw(settings: CorpusSettings) -> dict[str, str]:
    return {path.name: path.read_text() for path in (Path(str(settings.directory)) / "raw").iterdir()}


def missing(settings: CorpusSettings) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read_table(Path(str(settings.directory)) / "missing.tsv")}


@pytest.mark.parametrize(("shape", "title"), [(sedthh, "Book 84"), (pg19, "Book 84 by Jane Doe")])
def test_the_usual_datasets_are_recognised(shape, title, dataset):
    settings = dataset(shape(84, 1342), rights="not_copyrighted")
    acquire(settings)
    layout = find_acquired(settings)
    assert [book.book_id for book in list_books(layout.raw)] == ["84", "1342"]
    assert raw(settings)["84.txt"] == body(84)
    assert read_catalogue(layout.catalogue)["84"].title == title


def test_texts_with_their_headers_prove_their_rights(dataset):
    settings = dataset(manu(84, 1342))
    acquire(settings)
    assert raw(settings) == {"84.txt": text(84), "1342.txt": text(1342)}
    assert read_catalogue(find_acquired(settings).catalogue) == {}


def test_texts_without_headers_are_not_used_unless_the_setting_says_so(dataset):
    settings = dataset(sedthh(84))
    acquire(settings)
    assert (raw(settings), missing(settings)) == ({}, {"84": "rights_unknown"})


def test_a_catalogue_goes_before_what_the_dataset_says(dataset, tmp_path):
    (tmp_path / "catalog.csv").write_bytes(catalogue_of({"84": "The true title"}))
    settings = dataset(pg19(84), rights="any", catalogue=str(tmp_path / "catalog.csv"))
    acquire(settings)
    assert read_catalogue(find_acquired(settings).catalogue)["84"].title == "The true title"


def test_other_columns_are_mapped(dataset):
    rows = [
        {
            "nr": "tale of a lamp/../x",
            "content": text(1),
            "who": ["Doe, Jane", "Roe, Max"],
            "lang": "en",
            "free": "Public domain",
        }
    ]
    columns = {"text": "content", "id": "nr", "authors": "who", "language": "lang", "rights": "free", "title": "nr"}
    settings = dataset(rows, huggingface={"columns": columns})
    acquire(settings)
    layout = find_acquired(settings)
    [book] = list_books(layout.raw)
    assert book.path == f"{book.book_id}.txt"
    assert read_catalogue(layout.catalogue)[book.book_id].authors == "Doe, Jane; Roe, Max"


@pytest.mark.parametrize(
    "identifier", ["../../etc/passwd", "/tmp/x", "..", ".", "", "a\x00b", "x" * 500, "CON/..\\é", "%2e%2e"]
)
def test_no_id_escapes_the_folder_and_every_id_is_the_one_that_the_workflow_sees(identifier, dataset, tmp_path):
    settings = dataset([{"id": identifier, "text": text(1)}])
    acquire(settings)
    lock = read_lock(tmp_path / "books" / "books.lock.tsv")
    assert list(lock) == [book.book_id for book in list_books(tmp_path / "books" / "raw")]
    assert len(lock) == 1
    assert {path.parent for path in tmp_path.rglob("*.txt")} == {tmp_path / "books" / "raw"}


def test_rows_that_are_not_wanted_are_passed_over(dataset):
    rows = sedthh(1, 2, 3, 4)
    rows[1]["METADATA"] = rows[1]["METADATA"].replace('"en"', '"de"')
    settings = dataset(rows, rights="any", choose={"count": 2})
    acquire(settings)
    assert set(raw(settings)) == {"1.txt", "3.txt"}


def test_a_second_row_of_the_same_id_is_passed_over(dataset):
    settings = dataset([*manu(1, 2), {"id": "1", "text": text(9)}])
    acquire(settings)
    assert raw(settings) == {"1.txt": text(1), "2.txt": text(2)}


def test_a_row_without_text_is_missing_with_its_reason(dataset):
    settings = dataset([*manu(1), {"id": "2", "text": None}], allow_missing=True)
    acquire(settings)
    assert missing(settings) == {"2": "empty_file"}


def test_a_second_run_does_not_open_the_dataset(dataset, monkeypatch):
    settings = dataset(manu(1, 2, 3))
    acquire(settings)
    monkeypatch.setattr(hugging_face, "_open_dataset", lambda settings: pytest.fail("opened"))
    acquire(settings)


def test_an_interrupted_stream_goes_on_where_it_was(dataset, monkeypatch):
    settings = dataset(manu(*range(1, 31)), files=3)
    monkeypatch.setattr(hugging_face, "_ROWS_BETWEEN_POSITIONS", 4)
    rows = hugging_face._rows
    seen: list[str] = []

    def until(limit: int):
        def some(dataset):
            for row in rows(dataset):
                if len(seen) == limit:
                    raise UserError("the dataset broke off")
                seen.append(row["id"])
                yield row

        return some

    for limit in (10, 25):
        with monkeypatch.context() as patch:
            patch.setattr(hugging_face, "_rows", until(limit))
            with pytest.raises(UserError, match="broke off"):
                acquire(settings)
    monkeypatch.setattr(hugging_face, "_rows", until(1000))
    acquire(settings)
    assert raw(settings) == {f"{number}.txt": text(number) for number in range(1, 31)}
    assert len(seen) <= 30 + 2 * 4


def test_a_lock_gives_exactly_its_books(dataset, tmp_path):
    first = dataset(manu(1, 2, 3), choose={"count": 2})
    acquire(first)
    lock = tmp_path / "books" / "books.lock.tsv"
    rows = manu(5, 2, 1, 3)
    rows[1]["text"] += "changed"
    second = dataset(rows, directory=str(tmp_path / "again"), lock=str(lock), allow_missing=True)
    acquire(second)
    assert raw(second) == {"1.txt": text(1)}
    assert missing(second) == {"2": "changed"}


def test_unknown_columns_are_named(dataset):
    with pytest.raises(UserError, match=r"columns content, nr; .*corpus\.huggingface\.columns"):
        acquire(dataset([{"content": text(1), "nr": 1}]))


def test_a_file_that_is_no_parquet_is_refused_and_never_run(dataset, tmp_path):
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    with pytest.raises(UserError, match=r"cannot be opened|broke off"):
        acquire(dataset(manu(1), huggingface={"dataset": str(evil)}))
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_parquet_is_refused(dataset, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no Parquet file"):
        acquire(dataset(manu(1), huggingface={"dataset": str(tmp_path / "empty")}))


def on_the_hub(monkeypatch, builder_of: Callable[..., Any]) -> None:
    """Let the library find a dataset of any name without a network; all else is its own."""
    import datasets

    real = datasets.load_dataset_builder

    def load(name: str, configuration: str | None = None, **keywords: Any):
        return builder_of(lambda source, **more: real(source, configuration, **{**keywords, **more}))

    monkeypatch.setattr(datasets, "load_dataset_builder", load)


def test_a_dataset_of_the_hub_is_streamed_from_its_split(dataset, tmp_path, monkeypatch):
    settings = dataset(manu(1, 2), files=2, huggingface={"dataset": "manu/project_gutenberg"})
    on_the_hub(monkeypatch, lambda load: load(str(tmp_path / "dataset")))
    acquire(settings)
    assert raw(settings) == {"1.txt": text(1), "2.txt": text(2)}
    lock = read_lock(tmp_path / "books" / "books.lock.tsv")
    assert lock["1"].url == "hf://datasets/manu/project_gutenberg@main/train#1"


def test_a_split_that_is_not_there_is_named(dataset, tmp_path, monkeypatch):
    on_the_hub(monkeypatch, lambda load: load(str(tmp_path / "dataset")))
    with pytest.raises(UserError, match=r"manu/project_gutenberg: cannot be opened .*klingon"):
        acquire(dataset(manu(1), huggingface={"dataset": "manu/project_gutenberg", "split": "klingon"}))


@pytest.mark.filterwarnings("ignore:The Pandas builder is deprecated")
def test_a_dataset_of_pickles_is_refused(dataset, tmp_path, monkeypatch):
    (tmp_path / "books.pkl").write_bytes(pickle.dumps({"text": ["x"]}))
    on_the_hub(monkeypatch, lambda load: load("pandas", data_files=str(tmp_path / "books.pkl")))
    with pytest.raises(UserError, match=r"format \(pandas\) may run code"):
        acquire(dataset(manu(1), huggingface={"dataset": "somebody/pickled"}))
