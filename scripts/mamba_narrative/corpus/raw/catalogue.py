"""Project Gutenberg's own catalogue (``pg_catalog.csv``): what it says of a book, and which genre that makes."""

from __future__ import annotations

import csv
import io
import logging
import re
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import csv_field, from_csv_field

_LOG = logging.getLogger(__name__)
COLUMNS = ("Text#", "Type", "Issued", "Title", "Language", "Authors", "Subjects", "LoCC", "Bookshelves", "Rights")
"""Project Gutenberg's own columns, and the rights, which only its RDF says."""
REQUIRED_COLUMNS = ("Text#", "Title", "Language")
Genre = Literal[
    "fiction", "unknown", "poetry", "drama", "periodical", "reference", "cookery", "essays", "criticism", "nonfiction"
]
FORM_GENRES: frozenset[Genre] = frozenset({"poetry", "drama", "periodical"})
"""Genres that the text itself shows; the catalogue may be wrong about them (a prose translation of an epic)."""

_FICTION = re.compile(r"fiction|\b(?:stories|tales|novels|romances|bildungsromans|folklore|legends|fables)\b")
_NOT_FICTION: tuple[tuple[Genre, re.Pattern[str]], ...] = (
    ("criticism", re.compile(r"history and criticism|authorship|bibliography|study and teaching|\bcriticism\b")),
    (
        "reference",
        re.compile(r"dictionar|encyclop[ae]+dias|\bindexes\b|catalogs|phrase books|terminology|synonyms|readers"),
    ),
    ("periodical", re.compile(r"periodicals|newspapers")),
    ("drama", re.compile(r"\b(?:drama|plays|tragedies|comedies|farces|librettos)\b")),
    ("poetry", re.compile(r"\b(?:poetry|poems|verse|sonnets|ballads|hymns|songs)\b")),
    ("cookery", re.compile(r"\b(?:cooking|cookery|cookbooks|recipes)\b")),
    ("essays", re.compile(r"\b(?:essays|sermons|speeches|correspondence)\b")),
)
_LANGUAGE_AND_LITERATURE = "P"
_RIGHTS_COLUMNS = ("Rights", "Copyright Status", "Copyright")
_UNDER_COPYRIGHT = re.compile(r"\s*(?:copyrighted|in copyright|under copyright|true|yes)\b", re.IGNORECASE)
_PUBLIC_DOMAIN = re.compile(r"\s*public domain\b", re.IGNORECASE)
_END = "end of the catalogue"
_FEW_COLUMNS = 5
"""Up to so many, a field with commas may look like a row."""
_ISSUE_DATE = re.compile(
    r"\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?,? (?:\d{1,2}(?:st|nd|rd|th)?,? )?"
    r"(1[4-9]\d\d|20\d\d)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class CatalogueEntry:
    """One row; texts as they are, line ends made spaces, lists split at semicolons."""

    title: str
    languages: tuple[str, ...]
    authors: str = ""
    issued: str = ""
    """Date on which Project Gutenberg published its text; not that of the work."""
    subjects: tuple[str, ...] = ()
    loc_classes: tuple[str, ...] = ()
    bookshelves: tuple[str, ...] = ()
    kind: str = ""
    """``Text``, ``Sound``, ``Dataset`` ..."""
    rights: str = ""
    """Copyright status, from catalogues that have such a column."""

    @property
    def is_copyrighted(self) -> bool:
        """Whether the catalogue says that the text is under copyright."""
        return bool(_UNDER_COPYRIGHT.match(self.rights))

    @property
    def is_public_domain(self) -> bool:
        """Whether the catalogue says that the text is in the public domain (in the USA)."""
        return bool(_PUBLIC_DOMAIN.match(self.rights))


def read_catalogue(path: Path) -> dict[str, CatalogueEntry]:
    """Entries by book id. About 2 s for the 75,000 rows of the whole catalogue.

    A row that cannot be right is told with its line and passed over, and never takes others with it: one whose quote is
    not closed (the rows in its field are read again) or stands in a wrong place, one with too many fields, one without
    a number or with that of an earlier row.

    Raises UserError where the file cannot be read, FileFormatError where a column is missing.
    """
    # Some fields list hundreds of names; the csv module would refuse them at its default limit.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    entries: dict[str, CatalogueEntry] = {}
    faults: dict[str, list[int]] = defaultdict(list)
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            header = [name.strip() for name in next(csv.reader(stream), [])]
            if missing := [name for name in REQUIRED_COLUMNS if name not in header]:
                raise FileFormatError(
                    f"{path}: column {', '.join(missing)} missing; found {', '.join(header)[:200] or 'nothing'}; "
                    f"expected a CSV file with Project Gutenberg's columns, at least {', '.join(REQUIRED_COLUMNS)}"
                )
            positions = {name: position for position, name in enumerate(header)}
            number_at = positions["Text#"]
            for line, fields in _records(stream, len(header), number_at, faults):
                book_id = _book_id(fields[number_at]) if number_at < len(fields) else ""
                if not book_id:
                    faults["has no number of a book"].append(line)
                elif any(fields[len(header) :]):
                    faults[f"has more than {len(header)} fields"].append(line)
                elif book_id in entries:
                    faults["has the number of an earlier row"].append(line)
                else:
                    entries[book_id] = _entry(fields, positions)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: not a CSV file in UTF-8 ({error})") from None
    for fault, lines in faults.items():
        others = f" (so have {len(lines) - 1:,} others, among them lines {_listed(lines[1:])})" if lines[1:] else ""
        _LOG.warning("%s:%d: this row %s and is passed over%s", path, lines[0], fault, others)
    return entries


def _listed(lines: list[int]) -> str:
    return ", ".join(map(str, lines[:5]))


class _Lines:
    """Lines that can be given back; ``taken`` are those since ``begin``."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._returned = iter(lines), deque[str]()
        self.number, self.taken = 1, list[str]()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        return line

    def begin(self) -> int:
        """The number of the line that comes next."""
        self.number += len(self.taken)
        self.taken = []
        return self.number + 1

    def give_back(self, kept: int) -> None:
        """All that were taken but the first ``kept`` come again."""
        self._returned.extendleft(reversed(self.taken[kept:]))
        del self.taken[kept:]


def _records(
    lines: Iterable[str], columns: int, number_at: int, faults: dict[str, list[int]]
) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of each row that is not empty.

    A quote that is not closed makes the csv module take all that follows for one field, without a word. A field may
    have several lines; that one of them is a whole row of its own, or that the file ends inside it, is a fault.
    """
    source = _Lines(chain(lines, [_END]))
    while True:
        line = source.begin()
        fields = next(csv.reader(source))
        taken = source.taken
        if taken == [_END]:
            return
        unclosed = taken[-1] == _END or any(_is_row(text, columns, number_at) for text in taken[1:])
        if not unclosed:
            if len(fields) != columns and not _is_well_quoted(taken):
                faults["has a quote in a wrong place"].append(line)
            elif fields:
                yield line, [from_csv_field(field) for field in fields]
            continue
        faults["has a quote that is not closed"].append(line)
        source.give_back(next((at for at, text in enumerate(taken) if at and _begins_row(text, number_at)), len(taken)))


def _is_well_quoted(lines: list[str]) -> bool:
    """Whether every closing quote is followed by a comma; else fields run together that were several."""
    try:
        return bool(list(csv.reader(lines, strict=True)))
    except csv.Error:
        return False


def _is_row(line: str, columns: int, number_at: int) -> bool:
    """Whether a line within a field is a row: enough commas, and a number where the numbers of books stand."""
    if line.count(",") < columns - 1 or not _begins_row(line, number_at):
        return False
    if columns > _FEW_COLUMNS:
        return True  # Its own quotes may be open, too.
    # With few columns, the end of a field that has commas may look like a row, but for its closing quote.
    return len(next(csv.reader([line]), [])) == columns and line.count('"') % 2 == 0


def _begins_row(line: str, number_at: int) -> bool:
    if line == _END:
        return True
    fields = next(csv.reader([line]), [])
    return number_at < len(fields) and fields[number_at].strip().isdecimal()


def format_catalogue(entries: Mapping[str, CatalogueEntry]) -> str:
    """The text of a CSV file that ``read_catalogue`` reads, by book id in the order given."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(map(csv_field, [book_id, *entry_fields(entry).values()]) for book_id, entry in entries.items())
    return text.getvalue()


def entry_fields(entry: CatalogueEntry) -> dict[str, str]:
    """The entry by column, without the number."""
    values = (
        entry.kind,
        entry.issued,
        entry.title,
        "; ".join(entry.languages),
        entry.authors,
        "; ".join(entry.subjects),
        "; ".join(entry.loc_classes),
        "; ".join(entry.bookshelves),
        entry.rights,
    )
    return dict(zip(COLUMNS[1:], values, strict=True))


def entry_of(fields: Mapping[str, str]) -> CatalogueEntry:
    """The entry that columns make; missing ones are empty."""
    return _entry(list(fields.values()), {name: position for position, name in enumerate(fields)})


def genre_of(entry: CatalogueEntry) -> tuple[Genre, bool]:
    """What subjects, shelves and Library of Congress classes say: the genre, and whether anything says fiction.

    ``("fiction", True)`` if all that speaks says fiction; ``("periodical", True)`` for a magazine of stories;
    ``("unknown", False)`` where nothing speaks, as for many books of class P (language and literature).
    """
    against: Counter[Genre] = Counter()
    is_fiction = False
    for subject in (subject.lower() for subject in entry.subjects):
        genre: Genre | None = next((name for name, pattern in _NOT_FICTION if pattern.search(subject)), None)
        if genre is not None:
            against[genre] += 1
        # "Detective stories -- Periodicals" says fiction, "Legends -- Drama" and "Fiction -- Authorship" do not.
        is_fiction |= genre in (None, "periodical") and bool(_FICTION.search(subject))
    if against:
        order = [name for name, _ in _NOT_FICTION]
        return min(against, key=lambda name: (-against[name], order.index(name))), is_fiction
    if is_fiction:
        return "fiction", True
    if any(not name.startswith(_LANGUAGE_AND_LITERATURE) for name in entry.loc_classes):
        return "nonfiction", False
    on_fiction_shelf = any(_FICTION.search(shelf.lower()) for shelf in entry.bookshelves)
    return ("fiction", True) if on_fiction_shelf else ("unknown", False)


def year_of(title: str) -> str:
    """Year of publication where the title is that of a dated issue ("July 1930"), else empty.

    The catalogue knows no year of a work, only when Project Gutenberg published its text, and nothing is guessed.
    """
    match = _ISSUE_DATE.search(title)
    return match[1] if match else ""


def _book_id(number: str) -> str:
    number = " ".join(number.split())
    return number.lstrip("0") or "0" if number.isascii() and number.isdigit() else number


def _entry(fields: list[str], positions: dict[str, int]) -> CatalogueEntry:
    def field(name: str) -> str:
        position = positions.get(name)
        return " ".join(fields[position].split()) if position is not None and position < len(fields) else ""

    def several(name: str) -> tuple[str, ...]:
        return tuple(part for item in field(name).split(";") if (part := item.strip()))

    return CatalogueEntry(
        title=field("Title"),
        languages=tuple(code.lower() for code in several("Language")),
        authors=field("Authors"),
        issued=field("Issued"),
        subjects=several("Subjects"),
        loc_classes=several("LoCC"),
        bookshelves=several("Bookshelves"),
        kind=field("Type"),
        rights=next((value for name in _RIGHTS_COLUMNS if (value := field(name))), ""),
    )
