"""Project Gutenberg's catalogue: reading it, and what it says of genre."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.corpus.raw.catalogue import CatalogueEntry, format_catalogue, genre_of, read_catalogue, year_of
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


# Rows that cannot be right


def pg_rows(count: int) -> list[str]:
    return [f'{n},Text,2001-01-01,Title {n},en,"Doe, J.",Fiction,PR,Browsing' for n in range(1, count + 1)]


def written(path, rows: list[str], header: str = ",".join(ALL_COLUMNS), line_end: str = "\n"):
    path.write_text(line_end.join([header, *rows]), encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("at", [0, 1, 500, 997, 998])
@pytest.mark.parametrize("spoilt", ['"Title', 'Title"" and "', '"', '"A ""title""', '""" x'])
def test_a_quote_that_is_not_closed_costs_its_own_row_alone(spoilt, at, line_end, tmp_path, caplog):
    rows = pg_rows(999)
    rows[at] = f"{at + 1},Text,2001-01-01,{spoilt},en,Doe,Fiction,PR,Browsing".replace('and ",', 'and,"')
    entries = read_catalogue(written(tmp_path / "catalog.csv", rows, line_end=line_end))
    assert {str(n) for n in range(1, 1000)} - {str(at + 1)} <= set(entries)
    assert entries["600" if at < 500 else "6"].authors == "Doe, J."
    assert f"catalog.csv:{at + 2}: this row has a quote that is not closed" in caplog.text


def test_every_row_may_have_an_open_quote(tmp_path, caplog):
    for author, fault in (('"Doe, J."', "has a quote in a wrong place"), ("Doe", "has a quote that is not closed")):
        rows = [row.replace("Title", '"Title').replace('"Doe, J."', author) for row in pg_rows(2000)]
        rows[1000:1000] = ["5000,Text,2001-01-01,A good one,en,Doe,Fiction,PR,"]
        caplog.clear()
        assert set(read_catalogue(written(tmp_path / "catalog.csv", rows))) == {"5000"}
        assert f"catalog.csv:2: this row {fault}" in caplog.text
        assert "1,999 others, among them lines 3, 4, 5, 6, 7" in caplog.text


@pytest.mark.parametrize(
    ("header", "rows", "ids"),
    [
        ("Text#,Title,Language", ['1,"A,en', "2,B,en", "3,C,en"], {"2", "3"}),
        ("Language,Title,Text#", ['en,"A,1', "en,B,2", "en,C,3"], {"2", "3"}),
        ("Text#,Title,Language", ['1,"A,en', '2,"B",en', "3,C,en"], {"2", "3"}),
        ("Text#,Title,Language", ["1,A,en", '2,"B,en'], {"1"}),
        ("Text#,Title,Language", ['1,"A\n1, 2",en', "3,C,en"], {"1", "3"}),
        ("Text#,Title,Language", ['1,"A\n\n2 B\n3, C",en', "3,C,en"], {"1", "3"}),
        ("Text#,Title,Language", ['1,"A ""quoted"" one\nand more",en'], {"1"}),
        ("Text#,Title,Language", ["1,A,en", "2,B, or C,en", "3,D,en,,,", ",E,en", "1,F,en"], {"1", "3"}),
    ],
)
def test_rows_are_kept_or_told(header, rows, ids, tmp_path):
    assert set(read_catalogue(written(tmp_path / "catalog.csv", rows, header))) == ids


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("7,Text,2001-01-01,Hello, World,en,Doe,Fiction,PR,Browsing", "has more than 9 fields"),
        (",Text,2001-01-01,Hello,en,Doe,Fiction,PR,Browsing", "has no number of a book"),
        ("0003,Text,2001-01-01,Hello,en,Doe,Fiction,PR,Browsing", "has the number of an earlier row"),
    ],
)
def test_a_row_that_cannot_be_right_is_told_with_its_line(row, fault, tmp_path, caplog):
    entries = read_catalogue(written(tmp_path / "catalog.csv", [*pg_rows(5), row]))
    assert [entry.title for entry in entries.values()] == [f"Title {n}" for n in range(1, 6)]
    assert f"catalog.csv:7: this row {fault} and is passed over" in caplog.text


def test_a_number_of_thousands_of_digits_is_only_a_number(tmp_path):
    assert set(read_catalogue(written(tmp_path / "catalog.csv", ["9" * 6000 + ",Text", "2,Text"]))) == {"9" * 6000, "2"}


@given(st.text('12,"a\n\r ', max_size=60))
def test_any_text_is_read_and_a_row_behind_it_is_there(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("catalogue") / "catalog.csv"
    row = "77,Text,2001-01-01,Title,en,Doe,Fiction,PR,Browsing"
    assert "77" in read_catalogue(written(path, [text, row, row.replace("77", "78")]))


def test_titles_like_formulas_are_texts_for_spreadsheets_and_the_same_for_us(tmp_path):
    entries = {
        "7": CatalogueEntry("=1+1", ("en",), "@Doe", subjects=("-- Fiction",)),
        "8": CatalogueEntry("'=x", ("en",), "'Tis"),
    }
    path = tmp_path / "catalog.csv"
    path.write_text(format_catalogue(entries), encoding="utf-8")
    cells = [cell for row in csv.reader(path.open(newline="")) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")]
    assert read_catalogue(path) == entries
