"""The built-in sample: every dressed file gives back its story, and nothing of its dressing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.inventory import RawBook, list_books
from mamba_narrative.corpus.reading import read_raw
from mamba_narrative.corpus.stripping import StrippedBook, strip_book
from mamba_narrative.io import read_table

REPOSITORY = Path(__file__).resolve().parents[3]
RAW = REPOSITORY / "workflow" / "sample" / "raw"
EXPECTED = {row["book_id"]: row for row in read_table(REPOSITORY / "tests" / "data" / "sample_expectations.tsv")}
BOOKS = {book.book_id: book for book in list_books(RAW)}
DRESSING = ("gutenberg", "imitation", "cc0", "ebook", "etext", "transcriber", "warranty", "for testing")


@pytest.fixture(scope="module")
def stripped() -> dict[str, StrippedBook]:
    return {
        book_id: strip_book(read_raw(RAW / book.path, 1_000_000), StrippingSettings())
        for book_id, book in BOOKS.items()
    }


def test_every_file_is_expected_and_every_expected_file_is_there():
    assert {book_id: BOOKS[book_id].path for book_id in BOOKS} == {
        book_id: row["file"] for book_id, row in EXPECTED.items()
    }


def test_a_book_in_two_variants_is_one_book_and_the_utf8_variant_is_taken():
    assert BOOKS["900005"] == RawBook("900005", "900005-0.txt", (("900005-8.txt", "other_variant"),))


@pytest.mark.parametrize("book_id", EXPECTED)
def test_the_text_is_the_story_from_its_first_words_to_its_last(stripped, book_id):
    text = " ".join(stripped[book_id].text.split())
    row = EXPECTED[book_id]
    # Before the first words a heading, a motto or a stage direction may stand; after the last, "THE END.".
    assert 0 <= text.find(row["first_words"]) < 250, text[:300]
    assert len(text) - text.rfind(row["last_words"]) - len(row["last_words"]) < 12, text[-300:]


@pytest.mark.parametrize("book_id", EXPECTED)
def test_nothing_of_the_dressing_is_left(stripped, book_id):
    text = stripped[book_id].text.lower()
    assert not [word for word in DRESSING if word in text]


@pytest.mark.parametrize("book_id", [book_id for book_id, row in EXPECTED.items() if row["chapters"] != "0"])
def test_the_chapters_are_found(stripped, book_id):
    assert len(stripped[book_id].chapters) == int(EXPECTED[book_id]["chapters"])


@pytest.mark.parametrize("book_id", EXPECTED)
def test_the_encoding_is_recognised_whatever_the_header_says(stripped, book_id):
    names = {"latin-1": {"latin-1", "iso-8859-1", "cp1252"}, "utf-8-sig": {"utf-8", "utf-8-sig"}}
    encoding = EXPECTED[book_id]["encoding"]
    # A file may use no more than a part of its encoding.
    assert stripped[book_id].encoding in names.get(encoding, {encoding}) | {"ascii"}


def test_there_are_at_least_18_stories_with_22000_words(stripped):
    stories = [row for row in EXPECTED.values() if row["decision"] == "keep" and not row["duplicate_of"]]
    assert len(stories) >= 18
    assert sum(len(stripped[row["book_id"]].text.split()) for row in stories) >= 22_000


def test_the_same_story_in_two_editions_is_the_same_text_but_for_spelling_and_quotes(stripped):
    def words(book_id: str) -> list[str]:
        return "".join(c.lower() if c.isalpha() else " " for c in stripped[book_id].text).split()

    duplicate = next(row for row in EXPECTED.values() if row["duplicate_of"])
    first, second = set(words(duplicate["book_id"])), set(words(duplicate["duplicate_of"]))
    assert len(first & second) / len(first) > 0.95
    assert stripped[duplicate["book_id"]].text != stripped[duplicate["duplicate_of"]].text
