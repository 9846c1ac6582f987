"""Tables of contents and lists of illustrations in front of a book."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mamba_narrative.corpus.strip.paragraphs import Block
from mamba_narrative.corpus.strip.spans import Span

_HEADING = re.compile(
    r"[\W_]*+(?:(?:the |a )?(?:table|list) of )?"
    r"(?:contents|chapters|illustrations|full[- ]page illustrations|plates|maps)"
    r"(?: (?:of|to) (?:the )?(?:vol|volume|book|part|first|second|third|fourth)\b.{0,30}"
    r"|[ .]*+(?:chap\w*+[. ]*+)?(?:page)?)?[\W_]*+",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"(?i)^\W*+(?:(?:chapter|chap\.?|book|part|volume|vol\.?|letter|section|canto|act|scene|stave|"
    r"adventure|episode|story|tale|no\.?)\W++)?"
    r"(?:[ivxlcdm]+|\d{1,3}|(?:the )?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|one|two|three|"
    r"four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|"
    r"(?:twenty|thirty|forty|fifty|sixty)(?:-\w+)?|last))(?:[.:)\]—-]|\s|$)"
)
_LISTS_PICTURES = re.compile(r"illustrations|plates|maps", re.IGNORECASE)
_WORDS_BEFORE_NUMBERS = frozenset(
    (
        "chapter",
        "chap",
        "book",
        "part",
        "volume",
        "vol",
        "letter",
        "section",
        "canto",
        "act",
        "scene",
        "page",
        "chapter page",
    )
)
_PAGE_AT_END = re.compile(r"(?i)(?<![\s.])(?:[\s.]{2,}+|\s)(?:\d{1,4}|[ivxlc]{1,7}|frontispiece|facing page \d+)\W*+$")
_NOT_KEY = re.compile(r"[\W_]+")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)_]*$")
_FIRST_OF_TEXT = re.compile(
    r"(?i)[\W_]*(?:chapter|chap\.|book|part|volume|preface|introduct\w+|prologue|foreword|contents|(?:[ivxlcdm]+|\d{1,3})\.?$)"
)
PAGE = ""
_LAST_WORD = re.compile(r"(?<![^\W_])([^\W_]++)[\W_]*+$")
_PAGE_NUMBER = re.compile(r"\d+|[ivxlc]+|frontispiece")
_FRONT = 40_000
"""Characters from the front within which a list begins: behind a preface of twenty pages."""
_MAX_BLOCKS = 1_500
"""Of a list: the longest have an entry a block and hundreds of chapters."""
_MAX_SHARE = 0.2
"""Of a book: a longer list is none, or has taken chapters for entries."""
_PAGED_SHARE = 0.7
"""Of entries with a page, from which on one without is none; headings of parts have no page."""
_FIRST_ENTRIES, _NEAR, _FAR = 4, 3, 8
"""A heading that repeats one of the first entries begins the text if prose follows within ``_FAR`` blocks, one that
repeats a later entry within ``_NEAR``: in a list of parts every part may have its own chapter I."""


def find_contents(blocks: Sequence[Block], length: int) -> tuple[list[Span], frozenset[str]]:
    """Spans of the lists in front of the text, and the keys (see ``title_key``) of what they list.

    ``length`` is the number of characters of the whole book. A list ends before the first paragraph of prose;
    headings between the two that repeat an entry belong to the text.
    """
    front = [b for b in blocks if b.start - blocks[0].start < min(_FRONT, 0.25 * length)]
    if not any(_HEADING.fullmatch(block.lines[0].strip()) for block in front):
        return [], frozenset()
    short_lines = _ShortLines(blocks)
    spans: list[Span] = []
    titles: set[str] = set()
    number = 0
    while number < len(front):
        if _HEADING.fullmatch(blocks[number].lines[0].strip()):
            last = _last_entry(blocks, number, short_lines, titles)
            if last is not None and blocks[last].end - blocks[number].start <= max(_MAX_SHARE * length, 2_000):
                rule = "list_of_illustrations" if _LISTS_PICTURES.search(blocks[number].lines[0]) else "contents"
                spans.append(Span(blocks[number].start, blocks[last].end, rule))
                titles |= {
                    key for block in blocks[number : last + 1] for line in block.lines if (key := title_key(line))
                }
                number = last
        number += 1
    return spans, frozenset(titles - {"contents", "chapter", "page"})


def title_key(line: str) -> str:
    """What a heading says: lower case, without number, page and punctuation."""
    without_page = _PAGE_AT_END.sub("", line)
    if without_page.strip(" ._*").lower() in _WORDS_BEFORE_NUMBERS:
        without_page = line
    without_number = _NUMBERED.sub("", without_page)
    return _NOT_KEY.sub(" ", (without_number or without_page).lower()).strip()


class _ShortLines:
    """The short lines of a book by their keys. A key costs much, so lines are filed by their last word first."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._by_last_word: dict[str, dict[str, int]] = {}
        for number, block in enumerate(blocks):
            if len(block.lines) <= 4:
                for line in {*block.lines, " ".join(block.lines)}:
                    if len(line) < 150:
                        self._by_last_word.setdefault(last_word(line), {})[line] = number
        self._keyed: dict[str, dict[str, int]] = {}

    def last_place(self, key: str) -> int:
        """The last block in which ``key`` stands as a short line; -1 where it never does."""
        return max(self._places(key.rsplit(" ", 1)[-1]).get(key, -1), self._places(PAGE).get(key, -1))

    def _places(self, word: str) -> dict[str, int]:
        if word not in self._keyed:
            places: dict[str, int] = {}
            for line, number in self._by_last_word.get(word, {}).items():
                key = title_key(line)
                places[key] = max(number, places.get(key, -1))
            self._keyed[word] = places
        return self._keyed[word]


def last_word(line: str) -> str:
    """The last word of the line in lower case, ``PAGE`` where it may be a page number and no part of a key."""
    words = line.rsplit(None, 1)
    match = _LAST_WORD.search(words[-1].lower()) if words else None
    if match is None or _PAGE_NUMBER.fullmatch(match[1]):
        return PAGE
    return match[1]


def _last_entry(blocks: Sequence[Block], heading: int, short_lines: _ShortLines, known: set[str]) -> int | None:
    """The last block of the list that begins at block ``heading``; None where it does not look like one.

    ``known`` are the keys of what the lists before this one name.
    """
    stop = min(len(blocks), heading + _MAX_BLOCKS)
    evidence = [len(blocks[heading].lines) > 1 and _looks_like_entries(blocks[heading].lines[1:], heading, short_lines)]
    seen = _Seen()
    seen.add(blocks[heading])
    lists_pictures = _LISTS_PICTURES.search(blocks[heading].lines[0]) is not None
    number = heading + 1
    while number < stop:
        block = blocks[number]
        if _HEADING.fullmatch(block.lines[0].strip()):
            break
        if lists_pictures and (_FIRST_OF_TEXT.match(block.text) or not known.isdisjoint(map(title_key, block.lines))):
            break
        is_entry = _looks_like_entries(block.lines, number, short_lines) or (lists_pictures and len(block.text) < 80)
        if _is_prose_block(block) and not (is_entry and any(map(_has_number, block.lines))):
            break
        if number > heading + 1 and _begins_text(blocks, number, seen):
            while len(evidence) > 1 and _is_first_number(blocks[heading + len(evidence) - 1]):
                evidence.pop()
            break
        evidence.append(is_entry)
        seen.add(block)
        number += 1
    while evidence and not evidence[-1]:
        evidence.pop()
    _drop_what_has_no_page(evidence, blocks[heading : heading + len(evidence)])
    entries = sum(evidence)
    if not entries or entries < 0.5 * len(evidence) - 1:
        return None
    return _before_first_heading(blocks, heading, heading + len(evidence) - 1)


def _has_number(line: str) -> bool:
    return _NUMBERED.match(line) is not None or _PAGE_AT_END.search(line) is not None


def _is_first_number(block: Block) -> bool:
    """Whether the block says "Part One" or "Chapter I" and nothing else."""
    line = block.lines[0]
    return len(block.lines) == 1 and _is_bare_number(line) and _number(line) in ("i", "1", "one", "first")


def _drop_what_has_no_page(evidence: list[bool], entries: Sequence[Block]) -> None:
    """Where nearly every entry has a page, the last ones without are no entries but the first heading of the text."""
    paged = [any(_PAGE_AT_END.search(line) for line in block.lines) for block in entries]
    if sum(paged) < _PAGED_SHARE * (len(paged) - 1) and not (len(paged) > 1 and _mostly_paged(entries)):
        return
    while len(evidence) > 1 and not paged[len(evidence) - 1]:
        evidence.pop()


def _mostly_paged(entries: Sequence[Block]) -> bool:
    lines = [line for block in entries for line in block.lines if title_key(line) not in ("", "page", "chapter")][1:]
    return sum(bool(_PAGE_AT_END.search(line)) for line in lines) > _PAGED_SHARE * len(lines)


def _before_first_heading(blocks: Sequence[Block], heading: int, last: int) -> int | None:
    """``last``, moved before the headings of the first chapter, which look like entries and repeat some."""
    for number in range(max(heading + 1, last - 3), last + 1):
        earlier = [line for block in blocks[heading:number] for line in block.lines]
        titles = {title_key(line) for line in earlier} - {""}
        if len(blocks[number].lines) <= 4 and any(
            (_is_bare_number(line) and _number(line) in {_number(other) for other in earlier})
            or (not _is_bare_number(line) and title_key(line) in titles)
            for line in blocks[number].lines
        ):
            before = number - 1
            if before > heading and len(blocks[before].lines) == 1 and _is_bare_number(blocks[before].lines[0]):
                before -= 1
            return before if before > heading or len(blocks[heading].lines) > 1 else None
    return last


def _number(line: str) -> str | None:
    """The number a line begins with, in lower case (``CHAPTER IV.`` gives ``iv``)."""
    match = _NUMBERED.match(line)
    return None if match is None else _NOT_KEY.sub(" ", match[0].lower()).split()[-1]


def _is_bare_number(line: str) -> bool:
    match = _NUMBERED.match(line)
    return match is not None and not _NOT_KEY.sub("", line[match.end() :])


def _looks_like_entries(lines: Sequence[str], number: int, short_lines: _ShortLines) -> bool:
    entries = sum(
        bool(_NUMBERED.match(line))
        or bool(_PAGE_AT_END.search(line))
        or _occurs_later(line.split(" _", 1)[0], number, short_lines)
        for line in lines
    )
    if len(lines) > 1 and _occurs_later(" ".join(lines), number, short_lines):
        return True
    # An entry may go on for lines (a summary of the chapter): its number is enough if it is short.
    return entries >= 0.5 * len(lines) or (bool(_NUMBERED.match(lines[0])) and len(lines) <= 8)


def _occurs_later(line: str, number: int, short_lines: _ShortLines) -> bool:
    key = title_key(line)
    return bool(key) and short_lines.last_place(key) > number + 1


def _keys(block: Block) -> set[str]:
    keys = set()
    for line in block.lines:
        # The number of "CHAPTER IV" is no page.
        whole, without_page = (_NOT_KEY.sub(" ", words.lower()).strip() for words in (line, _PAGE_AT_END.sub("", line)))
        keys.add(whole if without_page in _WORDS_BEFORE_NUMBERS else without_page)
    return keys - {""}


class _Seen:
    """The lines of the blocks of a list so far, and in which block each stood first."""

    def __init__(self) -> None:
        self._blocks = 0
        self._lines: dict[str, int] = {}
        self._titles: dict[str, int] = {}

    def add(self, block: Block) -> None:
        """Add the next block."""
        for line in _keys(block):
            self._lines.setdefault(line, self._blocks)
            self._titles.setdefault(title_key(line), self._blocks)
        self._blocks += 1

    def first_place(self, block: Block) -> int | None:
        """Number of the first block that has a line, or what a line says, in common with ``block``."""
        lines = (self._lines.get(line) for line in _keys(block))
        titles = (self._titles.get(key) for line in block.lines if (key := title_key(line)))
        return min((place for place in (*lines, *titles) if place is not None), default=None)


def _begins_text(blocks: Sequence[Block], number: int, seen: _Seen) -> bool:
    """Whether block ``number`` repeats an entry and leads to prose: the first heading of the text itself."""
    if len(blocks[number].lines) > 4 or (place := seen.first_place(blocks[number])) is None:
        return False
    reach = _FAR if place < _FIRST_ENTRIES else _NEAR
    return any(_is_running_text(later) for later in blocks[number + 1 : number + 1 + reach])


def _is_running_text(block: Block) -> bool:
    """Prose, or a shorter paragraph such as a line of dialogue."""
    text = " ".join(line.strip() for line in block.lines)
    if not _SENTENCE_END.search(text) or _NUMBERED.match(text):
        return _is_prose_block(block)
    return len(text.split()) >= 4 and (text[0] in "\"“‘'" or sum(map(str.islower, text)) > 0.7 * len(text))


def _is_prose_block(block: Block) -> bool:
    text = " ".join(line.strip() for line in block.lines)
    if _NUMBERED.match(text) and len(block.lines) <= 8:
        return False
    if len(text) > 160 and _SENTENCE_END.search(text):
        return True
    return len(text) > 700 and sum(bool(_PAGE_AT_END.search(line)) for line in block.lines) < 0.3 * len(block.lines)
