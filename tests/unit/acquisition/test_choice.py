"""Which books of a catalogue are wanted, and a lock that says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.acquisition.choice import choose_books
from mamba_narrative.acquisition.lock import LockedBook, format_lock, read_lock
from mamba_narrative.config.acquisition import ChoiceSettings
from mamba_narrative.corpus.raw.catalogue import (
    CatalogueEntry,
    entry_fields,
    entry_of,
    format_catalogue,
    read_catalogue,
)
from mamba_narrative.errors import UserError

CATALOGUE = {
    "1": CatalogueEntry(
        "A", ("en",), "Doe, Jane", subjects=("Sea stories -- Fiction",), loc_classes=("PR",), kind="Text"
    ),
    "2": CatalogueEntry("B", ("fr", "en"), "Roe, Max", subjects=("Cooking",), loc_classes=("TX",), kind="Text"),
    "3": CatalogueEntry("C", ("de",), "Doe, John", bookshelves=("Science Fiction",), loc_classes=("PT",), kind="Text"),
    "4": CatalogueEntry("D", ("en",), "Roe, Ann", subjects=("Music",), kind="Sound"),
    "5": CatalogueEntry("E", (), "Nobody"),
}
MANY = {str(number): CatalogueEntry(f"Book {number}", ("en",)) for number in range(1, 500)}


@pytest.mark.parametrize(
    ("criteria", "ids"),
    [
        ({}, ["1", "2", "5"]),
        ({"languages": ["de", "fr"]}, ["2", "3", "5"]),
        ({"languages": []}, ["1", "2", "3", "5"]),
        ({"languages": [], "kinds": []}, ["1", "2", "3", "4", "5"]),
        ({"classes": ["P"], "languages": []}, ["1", "3"]),
        ({"classes": ["PR", "TX"]}, ["1", "2"]),
        ({"subjects": ["FICTION"], "languages": []}, ["1", "3"]),
        ({"authors": ["doe"], "languages": []}, ["1", "3"]),
        ({"subjects": ["fiction"], "authors": ["jane"]}, ["1"]),
        ({"ids": [4, "3", 99]}, ["4", "3", "99"]),
    ],
)
def test_a_book_must_meet_every_criterion_that_is_given(criteria, ids):
    assert list(choose_books(CATALOGUE, ChoiceSettings.model_validate(criteria))) == ids


def test_the_seed_decides_the_sample():
    first, same, other = (choose_books(MANY, ChoiceSettings(count=50, seed=seed)) for seed in (1, 1, 2))
    assert len(first) == 50
    assert first == same
    assert first.keys() != other.keys()


def test_a_catalogue_that_grows_changes_the_sample_little():
    larger = MANY | {str(number): CatalogueEntry("New", ("en",)) for number in range(500, 510)}
    before, after = (choose_books(catalogue, ChoiceSettings(count=50)) for catalogue in (MANY, larger))
    assert len(after.keys() - before.keys()) <= 10
    assert after.keys() - before.keys() <= larger.keys() - MANY.keys()


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30).map(
    lambda text: " ".join(text.split())
)
LIST = st.lists(TEXT.map(lambda text: text.replace(";", " ").strip()).filter(bool), max_size=3).map(tuple)
ENTRY = st.builds(
    CatalogueEntry,
    title=TEXT,
    languages=LIST.map(lambda codes: tuple(code.lower() for code in codes)),
    authors=TEXT,
    issued=TEXT,
    subjects=LIST,
    loc_classes=LIST,
    bookshelves=LIST,
    kind=TEXT,
    rights=TEXT,
).map(lambda entry: entry_of(entry_fields(entry)))


@given(ENTRY)
def test_an_entry_survives_its_columns(entry):
    assert entry_of(entry_fields(entry)) == entry


@given(st.dictionaries(st.integers(1, 10**6).map(str), ENTRY, max_size=4))
def test_a_catalogue_is_read_as_it_was_written(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("catalogue") / "catalog.csv"
    path.write_text(format_catalogue(entries), encoding="utf-8")
    assert read_catalogue(path) == entries


@given(st.dictionaries(st.integers(1, 10**6), st.tuples(TEXT, ENTRY), max_size=4))
def test_a_lock_is_read_as_it_was_written(tmp_path_factory, rows):
    books = {
        str(number): LockedBook(str(number), url, "a" * 64, number, "2026-01-01", f"pg{number}.txt", entry)
        for number, (url, entry) in rows.items()
    }
    path: Path = tmp_path_factory.mktemp("lock") / "books.lock.tsv"
    path.write_text(format_lock(books.values()), encoding="utf-8")
    found = read_lock(path)
    assert found == books
    assert path.read_text(encoding="utf-8") == format_lock(reversed(found.values()))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1\tu\tabc\t5\t2026-01-01\tpg1.txt", "64 hex digits"),
        (f"1\tu\t{'a' * 64}\t-5\t2026-01-01\tpg1.txt", "length in bytes"),
        (f"1\tu\t{'a' * 64}\t5\t2026-01-01\t../pg1.txt", "without a folder"),
        (f"\tu\t{'a' * 64}\t5\t2026-01-01\tpg1.txt", "without id"),
        (f"1\tu\t{'a' * 64}\t5\t\tpg1.txt\n1\tu\t{'a' * 64}\t5\t\tpg2.txt", "twice"),
        (f"1\tu\t{'a' * 64}\t5\t\tpg1.txt\n2\tu\t{'a' * 64}\t5\t\tpg1.txt", "twice"),
    ],
)
def test_a_lock_that_cannot_be_right_is_refused_with_its_line(row, message, tmp_path):
    path = tmp_path / "books.lock.tsv"
    path.write_text(f"id\turl\tsha256\tbytes\tdate\tfile\n{row}\n")
    with pytest.raises(UserError, match=rf"books\.lock\.tsv:\d: .*{message}"):
        read_lock(path)
