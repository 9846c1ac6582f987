"""Headings of chapters in a stripped text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mamba_narrative.corpus.strip.contents import PAGE, last_word, title_key

_NUMBER_WORDS = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    r"eighteen|nineteen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[- ]\w+)?|"
    r"first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|\w+teenth|\w+tieth|"
    r"the (?:first|second|third|fourth|fifth|last)|last)"
)
_NUMBERED = re.compile(
    r"(?:CHAPTER|Chapter|CHAP\.?|Chap\.?|BOOK|Book|PART|Part|VOLUME|Volume|LETTER|Letter|SECTION|Section|STAVE|Stave|"
    rf"ACT|CANTO|Canto)\s+(?:THE\s+|the\s+)?(?:[IVXLCDMivxlcdm]+|\d{{1,3}}|(?i:{_NUMBER_WORDS}))\b(?![,'’])"
)
_ORDINAL = re.compile(
    rf"(?i:(?:the )?{_NUMBER_WORDS}) (?:CHAPTER|Chapter|BOOK|Book|PART|Part|VOLUME|Volume|LETTER|Letter)\b"
)
_NAMED = re.compile(
    r"(?:PROLOGUE|EPILOGUE|PREFACE|INTRODUCTION|INTRODUCTORY|CONCLUSION|FOREWORD|AFTERWORD|POSTSCRIPT|INTERLUDE|"
    r"Prologue|Epilogue|Preface|Introduction|Conclusion|Foreword|Afterword|Postscript|Interlude)[.:]?"
)
_BARE_NUMERAL = re.compile(r"(?P<roman>[IVXLC]{1,8})\.?|(?P<digits>\d{1,3})\.?")
_NUMERAL_WITH_TITLE = re.compile(r"(?P<roman>[IVXLC]{1,8})(?P<stop>[.:]?)(?: [-–—]+)?\s+(?P<title>\S.{0,90})")
_MAX_LINES, _MAX_CHARACTERS = 4, 240
"""Of a heading: number, title, subtitle and place, each a line of at most 60 characters; a paragraph is longer."""
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_MIN_SEQUENCE = 3
"""Numerals in a row that are headings: two may be the stanzas of a poem, or the pronoun I."""
_MAX_OF_NUMBER = 3
"""Parts of a heading that decide whether it says a number: with as many it is no numeral with its title any more."""


@dataclass(frozen=True)
class Chapter:
    """A heading: ``text[offset:offset + len(heading)] == heading``."""

    offset: int
    heading: str


@dataclass(frozen=True)
class _Listed:
    """Keys of the headings that the table of contents lists, and their last words: a quick test for most paragraphs."""

    keys: frozenset[str]
    last_words: frozenset[str]


def find_chapters(text: str, listed: frozenset[str] = frozenset()) -> list[Chapter]:
    """Headings of a text whose paragraphs are separated by one blank line.

    A paragraph is a heading if it is short and says so (``CHAPTER IV. Title``), if the table of contents listed it
    (``listed``: keys of ``contents.title_key``), or if it is a numeral in an ascending sequence of at least three.
    """
    titles = _Listed(listed, frozenset(key.rsplit(" ", 1)[-1] for key in listed))
    sure: list[Chapter] = []
    numerals: list[tuple[int, Chapter]] = []
    offset = 0
    for paragraph in text.split("\n\n"):
        if len(paragraph) <= _MAX_CHARACTERS and paragraph.count("\n") < _MAX_LINES and paragraph.strip():
            chapter = Chapter(offset, paragraph.rstrip("\n"))
            if _is_heading(paragraph, titles):
                sure.append(chapter)
            elif (value := _numeral(paragraph)) is not None:
                numerals.append((value, chapter))
        offset += len(paragraph) + 2
    found = sorted([*sure, *_ascending(numerals)], key=lambda chapter: chapter.offset)
    return _with_titles(found)


def _with_titles(chapters: Iterable[Chapter]) -> list[Chapter]:
    """A number and the title in the paragraph right below it are one heading."""
    merged: list[list[Chapter]] = []
    for chapter in chapters:
        above = merged[-1] if merged else None
        if (
            above is not None
            and above[-1].offset + len(above[-1].heading) + 2 == chapter.offset
            and _says_number(_joined(above[:_MAX_OF_NUMBER]))
            and not _says_number(chapter.heading)
            and _NAMED.fullmatch(chapter.heading.strip()) is None
        ):
            above.append(chapter)
        else:
            merged.append([chapter])
    return [Chapter(parts[0].offset, _joined(parts)) for parts in merged]


def _joined(parts: Iterable[Chapter]) -> str:
    return "\n\n".join(part.heading for part in parts)


def _says_number(heading: str) -> bool:
    return bool(_NUMBERED.match(heading) or _ORDINAL.match(heading)) or _numeral(heading) is not None


def _is_heading(paragraph: str, listed: _Listed) -> bool:
    first = paragraph.split("\n", 1)[0].strip()
    match = _NUMBERED.match(first) or _ORDINAL.match(first)
    if match is not None:
        # "Part of me wished ..." and "Book ten of them" are sentences: a title begins with a capital.
        rest = first[match.end() :].lstrip(" .:-–—\"“'‘([_")
        return not rest[:1].islower()
    if _NAMED.fullmatch(paragraph.strip()):
        return True
    if not listed.last_words:
        return False
    words = paragraph.split()
    if last_word(words[-1]) not in listed.last_words and last_word(words[-1]) != PAGE:
        return False
    key = title_key(" ".join(words))
    return len(key) > 2 and key in listed.keys and not words[-1].endswith((",", ";"))


def _numeral(paragraph: str) -> int | None:
    stripped = paragraph.strip()
    match = _BARE_NUMERAL.fullmatch(stripped)
    if match is None:
        match = _NUMERAL_WITH_TITLE.fullmatch(stripped)
        # "I saw him": a title after a numeral is set in capitals or begins with one, and is no sentence in quotation.
        if (
            match is None
            or not match["title"][:1].isupper()
            or (match["roman"] == "I" and not match["stop"] and not match["title"].isupper())
        ):
            return None
        return _roman_value(match["roman"])
    return _roman_value(match["roman"]) if match["roman"] else int(match["digits"])


def _roman_value(numeral: str) -> int:
    values = [_VALUES[letter] for letter in numeral]
    return sum(
        -value if value < following else value for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _ascending(numerals: Iterable[tuple[int, Chapter]]) -> list[Chapter]:
    """The numerals that stand in a run 1, 2, 3, ... of at least three; numbering may begin again."""
    accepted: list[Chapter] = []
    run: list[Chapter] = []
    expected = 1
    for value, chapter in numerals:
        if value == 1 and expected != 1:
            accepted += run if len(run) >= _MIN_SEQUENCE else []
            run, expected = [], 1
        if value == expected or (run and expected < value <= expected + 2):
            run.append(chapter)
            expected = value + 1
    return accepted + (run if len(run) >= _MIN_SEQUENCE else [])
