"""What a Project Gutenberg header says about its book."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_FIELD = re.compile(r"(?i)^[ \t*]*(title|author|language|release date|posting date)[ \t]*:[ \t]*(.*)$")
_ANY_FIELD = re.compile(r"^[ \t*]*[A-Z][A-Za-z ]{2,30}:")
_FIRST_LINE = re.compile(
    r"(?is)^\W*(?:the\s+)?project\s+gutenberg(?:'s|’s)?(?:\s+(?:e-?text|ebook)s?)?(?:\s*,|\s+of\b|\s+of\s+the\s+etext)?\s+(.+)$"
)
_NUMBER = re.compile(r"(?<!\s)\s*+[\[(](?:e-?text|e-?book|etext)?\s*+(?:#\s*+)?\d++[\])].*$", re.IGNORECASE | re.DOTALL)
_OLD_DATE = re.compile(
    r"^[ \t]*((?:january|february|march|april|may|june|july|august|september|october|november|december)"
    r"[ ,]+(?:\d{1,2}[ ,]+)?\d{4})[ \t]*[\[(](?:e-?text|e-?book)",
    re.IGNORECASE | re.MULTILINE,
)
_SERIES = re.compile(r"(?i)^\W*#\s*\d+ in (?:our|a|the) series\b")
_COPYRIGHTED = re.compile(
    r"copyrighted\W+project\s+gutenberg|follow\s+the\s+copyright\s+guidelines\s+in\s+this\s+file|"
    r"this\s+(?:e-?text|e-?book|electronic text)\s+is\s+(?:still\s+)?(?:under\s+copyright|copyright(?:ed)?\b)|"
    r"copyright\s+status:\s*copyrighted",
    re.IGNORECASE,
)
# "for the use of anyone anywhere in the United States" since about 2003, "a 'public domain' work" before.
_PUBLIC_DOMAIN = re.compile(r"for\s+the\s+use\s+of\s+anyone\s+anywhere|\bpublic\s+domain\b", re.IGNORECASE)
_HEADER_CHARACTERS, _FOOTER_CHARACTERS = 15_000, 30_000
"""Where header and licence stand: the old "small print" before the book is shorter, the full licence
has about 19,000."""
_MAX_FIELD_LINES, _MAX_FIELD_CHARACTERS = 6, 5_000
"""Of one field: a long title wraps to some lines; what goes on is no field."""


@dataclass(frozen=True)
class Header:
    """The fields of a header as written, joined to one line; None where there is none."""

    title: str | None = None
    author: str | None = None
    language: str | None = None
    release_date: str | None = None
    copyrighted: bool = False
    """Says that this text, unlike most, is under copyright."""


def parse_header(header: str) -> Header:
    """Read the fields from the text before the book."""
    fields = _fields(header)
    title, author = fields.get("title"), fields.get("author")
    if title is None:
        first_title, first_author = _from_first_line(header)
        title, author = first_title, author or first_author
    date = fields.get("release date") or fields.get("posting date")
    if date is None and (old := _OLD_DATE.search(header)):
        date = old[1]
    if date is not None:
        date = _NUMBER.sub("", date).strip() or None
    return Header(title, author, fields.get("language"), date, bool(_COPYRIGHTED.search(header)))


def rights_of(text: str) -> Literal["copyrighted", "public_domain", "unknown"]:
    """What header and licence of a raw text say about its rights in the USA."""
    beginning, end = text[:_HEADER_CHARACTERS], text[-_FOOTER_CHARACTERS:]
    if _COPYRIGHTED.search(beginning):
        return "copyrighted"
    for part in (beginning, end):
        # Novels speak of the public domain too; Project Gutenberg's licence names itself beside it.
        if "gutenberg" in part.lower() and _PUBLIC_DOMAIN.search(part):
            return "public_domain"
    return "unknown"


def _fields(header: str) -> dict[str, str]:
    lines = header.split("\n")
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        match = _FIELD.match(line)
        if match is None or match[1].lower() in found:
            continue
        parts = [match[2]]
        for following in lines[number + 1 : number + _MAX_FIELD_LINES]:
            if not following.strip() or _ANY_FIELD.match(following):
                break
            # Some headers do not indent the second line of a long title; a line of asterisks is a marker.
            if following.lstrip().startswith("*"):
                break
            parts.append(following)
        value = " ".join(" ".join(parts).split())[:_MAX_FIELD_CHARACTERS]
        if value:
            found[match[1].lower()] = value
    return found


def _title_lines(paragraph: str) -> list[str]:
    """The first lines of a paragraph without those that are no part of a title."""
    return [line for line in paragraph.split("\n")[:3] if "file should be" not in line and not _SERIES.match(line)]


def _from_first_line(header: str) -> tuple[str | None, str | None]:
    """Title and author of ``The Project Gutenberg Etext of Title, by Author`` (which may wrap)."""
    for paragraph in re.split(r"\n[ \t]*\n", header.strip()[:3_000]):
        for candidate in (paragraph, paragraph.split("\n")[0]):
            whole = " ".join(line.strip(" *#") for line in _title_lines(candidate))
            match = _FIRST_LINE.match(whole)
            if match and len(match[1]) < 250:
                title, separator, author = match[1].rpartition(" by ")
                if not separator:
                    title, author = match[1], ""
                return title.strip(" ,*.") or None, author.strip(" ,*.") or None
    return None, None
