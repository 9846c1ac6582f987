"""The pages in front of a book's text: title pages, imprints, dedications, lists of the publisher's other books.

They are looked for only before the text begins: before the first chapter's heading, or the first prose where there is
no heading. A page goes for what it says, never for where it stands; a few short lines between two such pages go too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from mamba_narrative.corpus.raw.header import Header
from mamba_narrative.corpus.strip.contents import title_key
from mamba_narrative.corpus.strip.imprint import (
    heads_list_of_books,
    is_imprint,
    is_imprint_line,
    is_weak_imprint,
    plain_line,
    signs_of_sale,
)
from mamba_narrative.corpus.strip.paragraphs import Block
from mamba_narrative.corpus.strip.spans import Span

_FRONT_BLOCKS, _FRONT_SHARE, _FRONT_CHARACTERS = 400, 0.25, 60_000
"""How far behind the front the text may begin. Long contents have hundreds of blocks, an introduction has tens of
thousands of characters; of a short story, more than a quarter is not its front."""
_TITLE_WORDS, _TITLE_LINES, _TITLE_PAGE_BLOCKS = 40, 14, 20
"""A title with its subtitle and author has no more words, and not more lines even where each word is on one of its own.
More is a paragraph in which such words stand. The title page of a play or a list is within so many blocks."""
_MAX_UNKNOWN, _UNKNOWN_LENGTH = 3, 80
"""Blocks, and characters of a line, that go with the pages around them, whatever they are: a motto or the name of a
series is short, and the first lines of a story are longer or more."""
_ONE = r"(?:[i1]\b|one\b|(?:the )?first\b)"
_FIRST_HEADING = re.compile(
    rf"[\W_]*+(?:(?:chapter|chap\.?|book|part|volume|vol\.?|letter|section|stave|canto|act|scene|narrative|day|"
    rf"episode|story"
    rf"|adventure|tale)\s+(?:the\s+)?{_ONE}|(?:the )?first (?:chapter|book|part|letter|volume|section|narrative|"
    rf"act)\b"
    rf"|{_ONE}[\W_]*$|i\.? ?[-—:.–]+ ?\w|1[.)] ?\w|prologue\b|epilogue\b|chapter\s+\w+)",
    re.IGNORECASE,
)
_PREFACE = re.compile(
    r"[\W_]*+(?:the |an? )?(?:[\w'’]++ ){0,3}(?:preface|introduct\w+|foreword|notes?|notice|argument|"
    r"advertisement|prelude|"
    r"explanatory|proem|apology|memoir|characters|dramatis person\S*|persons\b.{0,40}|"
    r"to the (?:\w+ )?reader.{0,10})\b.{0,60}",
    re.IGNORECASE,
)
_DEDICATION_HEADING = re.compile(r"[\W_]*+(?:the )?(?:dedication|dedicated|dedicatory(?: \w++)?)[\W_]*+", re.IGNORECASE)
_DEDICATION = re.compile(
    r"[\W_]*+(?:to[\W_]*+$|(?:dedicated\s+)?(?:to|unto)\s+(?:(?:my|the|all|our|his|her|that|those|you|whom|mr|mrs|"
    r"miss|dr|sir)\b"
    r"|(?-i:[A-Z]))|for\s+(?:my|all|our|his|her|you)\b)|[\W_]*+(?:this|these|i)\b.{0,80}\b(?:dedicat|inscrib)",
    re.IGNORECASE | re.DOTALL,
)
_DEDICATION_WORDS = re.compile(
    r"dedicat|inscribed|affection|gratitude|grateful|memory|remembrance|friend|\bmy (?:dear|wife|mother|father|"
    r"husband|"
    r"son|daughter|brother|sister|boys?|girls?|little)\b|admiration|esteem|regard|respect|token",
    re.IGNORECASE,
)
_DEDICATES = re.compile(r"dedicat|inscrib", re.IGNORECASE)
_ADDRESSES = re.compile(r"\b(?:you|your|thee|thy|dedicat\w+|inscribe\w*)\b", re.IGNORECASE)
_FINITE = re.compile(r"\b(?:was|were|had|said|came|went|she|he|they|it)\b", re.IGNORECASE)
_MAX_DEDICATION, _MAX_DEDICATORY_LETTER, _MAX_DEDICATION_BLOCKS = 700, 4_000, 8
"""A dedication is one paragraph of some ten lines in a few blocks; under a heading of its own it may be a letter of two
printed pages. What is longer may be the story, which begins with the same words."""
_SENTENCE_END = re.compile(r"[.!?][\"'”’)_]*$")
_QUOTES = "\"“‘'"
_MIN_SIGNS = 2
"""Kinds of evidence of a sale in a paragraph of prose: a story may name a price or a publisher, seldom both."""
_MAX_GAP = 120
"""Characters between two blocks of one page: more, and something was removed there."""
_MIN_PROSE = 160
"""Characters of a paragraph of sentences: more than two printed lines, which a title or a motto may have."""
_BY = re.compile(r"(?i:by)\s++(?:[A-Z][\w.'’-]*+\s*+){1,5}\W*+$")


@dataclass(frozen=True)
class FrontSwitches:
    """Which of the rules of this module are on."""

    title_page: bool
    dedication: bool
    advertisement: bool


def find_front_pages(
    blocks: Sequence[Block], header: Header, titles: frozenset[str], switches: FrontSwitches
) -> list[Span]:
    """Spans ``title_page``, ``dedication`` and ``advertisement`` in front of the text.

    ``titles``: keys of the headings that the table of contents lists.
    """
    end = text_begins_at(blocks)
    if end is None:
        # A play, a list: only what stands at the very front and is known.
        rules = _rules(blocks[:_TITLE_PAGE_BLOCKS], header)
        rules = list(takewhile(bool, rules))
        end = 0
    else:
        rules = _rules(blocks[:end], header)
        _bridge(blocks, rules)
    if end and end < len(blocks) and is_prose(blocks[end]) and not _may_go(blocks[end - 1], header, titles):
        rules[-1] = None
    wanted = {name for name in ("title_page", "dedication", "advertisement") if getattr(switches, name)}
    return [
        Span(block.start, block.end, rule)
        for block, rule in zip(blocks, rules, strict=False)
        if rule and rule in wanted
    ]


def _may_go(block: Block, header: Header, titles: frozenset[str]) -> bool:
    """Whether the block right above the first prose is a page in front of it, not the title of the first story."""
    if (
        len(block.text) >= _UNKNOWN_LENGTH
        or is_imprint(block)
        or signs_of_sale(block)
        or _DEDICATION.match(block.text)
        or _DEDICATION_WORDS.search(block.text)
    ):
        return True
    words, whole = set(_words(block.text)), set(_words(header.title or ""))
    return title_key(block.text) not in titles and (
        words >= whole or whole.issubset(words | set(_words(header.author or ""))) or not whole
    )


def text_begins_at(blocks: Sequence[Block]) -> int | None:
    """Index of the first block of the text: its first chapter heading, else its first prose; None: there is neither."""
    if not blocks:
        return None
    limit = blocks[0].start + min(_FRONT_SHARE * (blocks[-1].end - blocks[0].start), _FRONT_CHARACTERS)
    front = [block for block in blocks[:_FRONT_BLOCKS] if block.start <= limit]
    preface, number = None, 0
    while number < len(front):
        block = front[number]
        if len(block.lines) <= 4 and len(block.text) < 200 and _FIRST_HEADING.match(block.text.split("\n", 1)[0]):
            return number
        if (last := _dedication(front, number)) is not None:
            number = last
        elif _PREFACE.fullmatch(block.text.strip()):
            preface = number if preface is None else preface
        elif preface is None and is_prose(block) and not is_imprint(block) and len(signs_of_sale(block)) < _MIN_SIGNS:
            return number
        number += 1
    return preface


def is_prose(block: Block) -> bool:
    """Whether the block is a paragraph of sentences, not a few words."""
    text = " ".join(block.text.split())
    return len(text) > _MIN_PROSE and _SENTENCE_END.search(text) is not None and text.upper() != text


def _rules(front: Sequence[Block], header: Header) -> list[str | None]:
    """The rule that removes each block, None for what stays."""
    rules: list[str | None] = [None] * len(front)
    sure = False
    title_words, author_words = _words_of(header)
    number, in_preface = 0, False
    while number < len(front):
        last, rule = number, None
        in_preface = in_preface or is_prose(front[number]) or _PREFACE.fullmatch(front[number].text.strip()) is not None
        if heads_list_of_books(front[number]) and (found := _list_of_books(front, number)) is not None:
            last, rule = found, "advertisement"
        elif {"price", "format"} <= signs_of_sale(front[number]) and not is_prose(front[number]):
            rule = "advertisement"
        elif (found := _dedication(front, number)) is not None:
            last, rule = found, "dedication"
        elif _is_title(front[number], title_words, author_words) or is_imprint(front[number]):
            # Below a preface the author's name is a signature.
            rule = None if in_preface and title_words.isdisjoint(_words(front[number].text)) else "title_page"
        sure = sure or (rule is not None and not is_weak_imprint(front[number]))
        for position in range(number, last + 1):
            rules[position] = rule
        number = last + 1
    # Nothing but a year or a town is no title page.
    return rules if sure else [None] * len(front)


def _words_of(header: Header) -> tuple[set[str], set[str]]:
    return set(_words(header.title or "")), set(_words(f"{header.author or ''} by"))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower().replace("_", " "))


def _is_title(block: Block, title: set[str], author: set[str]) -> bool:
    """Whether the block has no words but those of title and author, line by line mixed with an imprint's."""
    if len(block.lines) > _TITLE_LINES or len(_words(block.text)) > _TITLE_WORDS:
        return False
    known = title | author | {"or", "the", "a", "of", "and"}
    named = 0
    for line in block.lines:
        words = set(_words(line))
        if words and known.issuperset(words):
            named += not words.isdisjoint((title | author) - {"or", "the", "a", "of", "and", "by"})
        elif not is_imprint_line(line):
            return False
    return named > 0


def _dedication(front: Sequence[Block], number: int) -> int | None:
    """The last block of the dedication that begins at block ``number``, or None."""
    block = front[number]
    if _DEDICATION_HEADING.fullmatch(block.text):
        return _until_next_page(front, number, _MAX_DEDICATORY_LETTER)
    text = " ".join(block.text.split())
    if not _DEDICATION.match(text) or text[0] in _QUOTES or _PREFACE.fullmatch(text):
        return None
    if plain_line(text) in ("to", "dedicated to"):
        return _until_next_page(front, number, _MAX_DEDICATION)
    sure = _DEDICATION_WORDS.search(text) is not None
    brief = len(text) < _MIN_PROSE and not _FINITE.search(text) and all(len(line.strip()) < 66 for line in block.lines)
    if len(text) > _MAX_DEDICATION or not (sure or brief) or (is_prose(block) and not _DEDICATES.search(text)):
        return None
    return _until_next_page(front, number, _MAX_DEDICATION, sure_only=True)


def _until_next_page(front: Sequence[Block], number: int, length: int, sure_only: bool = False) -> int:
    """The last block of a page that begins at ``number``: before a heading, a title page or prose."""
    last = number
    while last + 1 < len(front) and last - number < _MAX_DEDICATION_BLOCKS:
        block = front[last + 1]
        text = " ".join(block.text.split())
        if block.end - front[number].start > length or block.start - front[last].end > _MAX_GAP:
            break
        if _PREFACE.fullmatch(text) or text[0] in _QUOTES or _FIRST_HEADING.match(text):
            break
        if last > number and _heads_prose(front, last + 1):
            break
        if heads_list_of_books(block) or (is_imprint(block) and plain_line(text) not in ("by", "and", "of")):
            break
        if is_prose(block) and (sure_only or not _ADDRESSES.search(text)):
            break
        if sure_only and not (_DEDICATION_WORDS.search(text) or len(text) < 40):
            break
        last += 1
    return last


def _heads_prose(front: Sequence[Block], number: int) -> bool:
    """Whether block ``number`` is short, no dedication, and stands right above a paragraph: the title of a story."""
    short = len(front[number].text) < _UNKNOWN_LENGTH and not _DEDICATION_WORDS.search(front[number].text)
    salutation = front[number].text.rstrip(" _").endswith((",", ":"))
    return short and not salutation and number + 1 < len(front) and is_prose(front[number + 1])


def _list_of_books(front: Sequence[Block], number: int) -> int | None:
    """The last block of a list of books headed by block ``number``; None where nothing like one follows."""
    last = number
    entries = len(front[number].lines) - 1
    for position in range(number + 1, len(front)):
        block = front[position]
        if is_prose(block) and (len(signs_of_sale(block)) < _MIN_SIGNS or block.text.lstrip()[0] in _QUOTES):
            break
        if _PREFACE.fullmatch(block.text) or _dedication(front, position) is not None:
            break
        if is_imprint(block) and not signs_of_sale(block) and not _is_divider(block):
            break
        entries += len(block.lines)
        last = position
    return last if entries else None


def _is_divider(block: Block) -> bool:
    return not any(character.isalnum() for character in block.text)


def _bridge(blocks: Sequence[Block], rules: list[str | None]) -> None:
    """Give short blocks between two removed pages the rule of the first."""
    removed = [number for number, rule in enumerate(rules) if rule]
    if not removed:
        return
    stretches = [(0, removed[0])] if removed[0] and _leads_to_title(blocks, removed[0]) else []
    stretches += [(before + 1, after) for before, after in pairwise(removed)]
    for start, end in stretches:
        between = blocks[start:end]
        if len(between) <= _MAX_UNKNOWN and all(_is_stray(block) for block in between):
            for number in range(start, end):
                rules[number] = "title_page"
    last = removed[-1] + 1
    while last < len(rules) and _is_divider(blocks[last]):
        rules[last] = "title_page"
        last += 1


def _leads_to_title(blocks: Sequence[Block], number: int) -> bool:
    """Whether block ``number`` follows a title that the header does not know: it says who wrote it."""
    return (
        any(_BY.match(line.strip(" _*")) for line in blocks[number].lines)
        or plain_line(blocks[number].text) == "by"
        or (number <= 2 and plain_line(blocks[0].text) == "cover")
    )


def _is_stray(block: Block) -> bool:
    text = block.text.strip()
    if _is_divider(block):
        return True
    if _PREFACE.fullmatch(text) or text[0] in _QUOTES or _SENTENCE_END.search(text):
        return False
    return len(block.lines) <= 6 and all(len(line.strip()) <= _UNKNOWN_LENGTH for line in block.lines)
