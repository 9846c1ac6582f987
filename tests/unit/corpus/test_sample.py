"""The built-in sample: every dressed file gives back its story, all of it, and nothing of its dressing."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.inventory import RawBook, list_books
from mamba_narrative.corpus.raw.raw_bytes import read_raw
from mamba_narrative.corpus.strip.stripping import StrippedBook, strip_book
from mamba_narrative.io import read_table

REPOSITORY = Path(__file__).resolve().parents[3]
SAMPLE = REPOSITORY / "workflow" / "sample"
RAW = SAMPLE / "raw"
EXPECTED = {row["book_id"]: row for row in read_table(REPOSITORY / "tests" / "data" / "sample_expectations.tsv")}
BOOKS = {book.book_id: book for book in list_books(RAW)}
DRESSING = (
    r"gutenberg|small print|licen[cs]e|imitation|\be-?(?:book|text)|cc0|public domain|warranty|for testing|"
    r"written for this project|transcriber|\[illustration|release date|\[footnote"
)
PROMISED_IN_EVERY_FRAME = ("Gutenberg", "imitation", "CC0", "ritten for this project")


@pytest.fixture(scope="module")
def stripped() -> dict[str, StrippedBook]:
    return {book_id: strip_book(raw_bytes(book.path), StrippingSettings()) for book_id, book in BOOKS.items()}


def raw_bytes(path: str) -> bytes:
    return read_raw(RAW / path, 1_000_000)


def narrative(text: str) -> str:
    """The words of a stripped text, without the printer's "THE END." that may stand below it."""
    return re.sub(r"\sTHE END\.$", "", " ".join(text.split()))


def test_every_file_is_expected_and_every_expected_file_is_there():
    assert {book_id: BOOKS[book_id].path for book_id in BOOKS} == {
        book_id: row["file"] for book_id, row in EXPECTED.items()
    }
    assert all(book.problem is None for book in BOOKS.values())


def test_a_book_in_two_variants_is_one_book_and_the_utf8_variant_is_taken():
    assert BOOKS["900005"] == RawBook("900005", "900005-0.txt", (("900005-8.txt", "other_variant"),))


def test_the_two_variants_hold_the_same_text(stripped):
    assert strip_book(raw_bytes("900005-8.txt"), StrippingSettings()).text == stripped["900005"].text


def test_every_way_of_naming_a_file_occurs():
    files = [row["file"] for row in EXPECTED.values()]
    for form in (
        r"\d+\.txt",
        r"pg\d+\.txt",
        r"\d+-0\.txt",
        r"\d+-8\.txt",
        r".*\.txt\.gz",
        r".*\.zip",
        r".*/.*",
        r"[a-z-]+\.txt",
    ):
        assert any(re.fullmatch(form, file) for file in files), form


@pytest.mark.parametrize("book_id", [book_id for book_id in EXPECTED if book_id != "the-eleventh-tot"])
def test_every_frame_says_that_it_is_an_imitation(book_id):
    raw = raw_bytes(BOOKS[book_id].path)
    assert not [words for words in PROMISED_IN_EVERY_FRAME if words.encode() not in raw]


@pytest.mark.parametrize("book_id", EXPECTED)
def test_the_text_goes_from_the_first_words_of_the_story_to_the_last(stripped, book_id):
    text, row = narrative(stripped[book_id].text), EXPECTED[book_id]
    assert (text[: len(row["first_words"])], text[-len(row["last_words"]) :]) == (row["first_words"], row["last_words"])


@pytest.mark.parametrize("book_id", EXPECTED)
def test_every_letter_of_the_story_is_kept_and_none_is_added(stripped, book_id):
    letters = "".join(character for character in narrative(stripped[book_id].text).lower() if character.isalnum())
    row = EXPECTED[book_id]
    digest = hashlib.sha256(letters.encode("utf-8")).hexdigest()[:16]
    assert (len(letters), digest) == (int(row["letters"]), row["letters_sha256"])


@pytest.mark.parametrize("book_id", EXPECTED)
def test_nothing_of_the_dressing_is_left(stripped, book_id):
    # The dedication of 900004 is part of its text, and names what must go elsewhere.
    text = stripped[book_id].text.replace("ever read the small print aloud", "")
    assert not re.findall(DRESSING, text, re.IGNORECASE)


@pytest.mark.parametrize("book_id", EXPECTED)
def test_the_chapters_are_found_and_nothing_else_is_one(stripped, book_id):
    headings = [chapter.heading for chapter in stripped[book_id].chapters]
    assert len(headings) == int(EXPECTED[book_id]["chapters"]), headings


@pytest.mark.parametrize("book_id", EXPECTED)
def test_the_encoding_is_recognised_whatever_the_header_says(stripped, book_id):
    found = {"utf-8-sig": "utf-8"}.get(stripped[book_id].encoding, stripped[book_id].encoding)
    expected = EXPECTED[book_id]["encoding"]
    assert found == {"utf-8-sig": "utf-8"}.get(expected, expected)


@pytest.mark.parametrize("book_id", EXPECTED)
def test_the_title_is_read_and_no_author_is_made_up(stripped, book_id):
    header = stripped[book_id].header
    assert (header.title or "") == EXPECTED[book_id]["title"]
    assert header.author in (None, "Written for this project")


def test_there_are_at_least_18_stories_with_22000_words(stripped):
    stories = [row for row in EXPECTED.values() if row["decision"] == "keep" and not row["duplicate_of"]]
    assert len(stories) >= 18
    assert sum(len(stripped[row["book_id"]].text.split()) for row in stories) >= 22_000


def test_the_same_story_in_two_editions_is_the_same_text_but_for_spelling_and_punctuation(stripped):
    duplicate = next(row for row in EXPECTED.values() if row["duplicate_of"])
    first, second = (
        set(re.findall(r"[a-z]+", stripped[book_id].text.lower()))
        for book_id in (duplicate["book_id"], duplicate["duplicate_of"])
    )
    assert 0.95 < len(first & second) / len(first) < 1
