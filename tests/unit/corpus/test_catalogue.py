"""Project Gutenberg's catalogue: reading it, and what it says of genre."""

from __future__ import annotations

import csv

import pytest

from mamba_narrative.corpus.catalogue import CatalogueEntry, genre_of, read_catalogue, year_of
from mamba_narrative.errors import FileFormatError, UserError

ALL_COLUMNS = ["Text#", "Type", "Issued", "Title", "Language", "Authors", "Subjects", "LoCC", "Bookshelves"]


def write_csv(path, header, *rows):
    with open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def entry(subjects: str = "", loc_classes: str = "", bookshelves: str = "") -> CatalogueEntry:
    def several(text):
        return tuple(part.strip() for part in text.split(";") if part.strip())

    return CatalogueEntry("A title", ("en",), "", "", several(subjects), several(loc_classes), several(bookshelves))


def test_a_row_is_read_with_line_ends_in_its_title(tmp_path):
    path = write_csv(
        tmp_path / "catalog.csv",
        ALL_COLUMNS,
        [
            "7",
            "Text",
            "1999-01-01",
            "A Title\nand Another",
            "en; fr",
            "Doe, J.",
            "Ships -- Fiction; Sea",
            "PR; PZ",
            "X",
        ],
    )
    found = read_catalogue(path)["7"]
    assert found.title == "A Title and Another"
    assert found.languages == ("en", "fr")
    assert found.subjects == ("Ships -- Fiction", "Sea")
    assert found.loc_classes == ("PR", "PZ")
    assert (found.authors, found.issued, found.kind) == ("Doe, J.", "1999-01-01", "Text")


def test_three_columns_in_any_order_are_enough(tmp_path):
    path = write_csv(tmp_path / "catalog.csv", ["Language", "Title", "Text#"], ["en", "A Title", "0012"])
    assert read_catalogue(path) == {"12": CatalogueEntry("A Title", ("en",))}


def test_a_byte_order_mark_and_short_rows_do_no_harm(tmp_path):
    path = tmp_path / "catalog.csv"
    path.write_bytes("\ufeffText#,Title,Language\n5\n\n6,Six,en\n".encode())
    assert set(read_catalogue(path)) == {"5", "6"}


def test_a_missing_column_is_named_with_those_found(tmp_path):
    path = write_csv(tmp_path / "catalog.csv", ["Text#", "Name", "Language"], ["1", "x", "en"])
    with pytest.raises(FileFormatError, match="column Title missing; found Text#, Name, Language") as error:
        read_catalogue(path)
    assert str(path) in str(error.value)


def test_a_missing_or_binary_file_is_an_error_for_people(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_catalogue(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"Text#,Title,Language\n1,\xe9t\xe9,fr\n")
    with pytest.raises(FileFormatError, match="UTF-8"):
        read_catalogue(tmp_path / "latin.csv")


def test_the_whole_catalogue_is_read_quickly(tmp_path):
    import time

    subjects = "Love stories; Orphans -- Fiction; Domestic fiction; England -- Social life and customs -- Fiction"
    rows = [[n, "Text", "2001-01-01", f"Title {n}", "en", "Doe, J.", subjects, "PR", "Browsing"] for n in range(75_000)]
    path = write_csv(tmp_path / "catalog.csv", ALL_COLUMNS, *rows)
    started = time.monotonic()
    assert len(read_catalogue(path)) == 75_000
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("found", "genre"),
    [
        (entry("Orphans -- Fiction", "PR"), ("fiction", True)),
        (entry("Detective and mystery stories, English"), ("fiction", True)),
        (entry("Fairy tales; Folklore", "PZ"), ("fiction", True)),
        (entry("", "PZ", "Browsing: Fiction"), ("fiction", True)),
        (entry("Fall of man -- Poetry", "PR", "Browsing: Fiction"), ("poetry", False)),
        (entry("Comedy plays; England -- Drama", "PR"), ("drama", False)),
        (entry("Legends -- Germany -- Drama", "PT"), ("drama", False)),
        (entry("Science fiction -- Periodicals", "PN"), ("periodical", True)),
        (entry("English fiction -- History and criticism", "PR"), ("criticism", False)),
        (entry("Short stories, English -- Indexes", "PR"), ("reference", False)),
        (entry("Cooking, Roman; Cookbooks", "TX"), ("cookery", False)),
        (entry("Sermons", "BV"), ("essays", False)),
        (entry("Rome -- History", "DG"), ("nonfiction", False)),
        (entry("History, Ancient", "D; PA"), ("nonfiction", False)),
        (entry("Authors, American -- Biography", "PS"), ("unknown", False)),
        (entry(), ("unknown", False)),
    ],
)
def test_subjects_shelves_and_classes_give_a_genre(found, genre):
    assert genre_of(found) == genre


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Stories of Wonder, July 1930", "1930"),
        ("A Weekly, Vol. VIII: No. 353, October 2, 1886.", "1886"),
        ("Weekly No 120 / Dec 26, 1914 - Oct 2, 1915", "1914"),
        ("A narrative of 1757", ""),
        ("May 5", ""),
        ("", ""),
    ],
)
def test_only_a_dated_issue_has_a_year(title, year):
    assert year_of(title) == year
