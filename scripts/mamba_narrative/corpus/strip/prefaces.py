"""Prefaces, introductions and afterwords that somebody else wrote about the book and its author.

An author's own preface may be part of the fiction (a found manuscript, an invented editor) and always stays. What goes
must have a heading and speak of the author by name in the third person, or name its writer's office in the heading
and speak of the edition.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from mamba_narrative.corpus.normal_forms import normalise
from mamba_narrative.corpus.raw.header import Header
from mamba_narrative.corpus.strip.contents import title_key
from mamba_narrative.corpus.strip.paragraphs import Block
from mamba_narrative.corpus.strip.spans import Span
from mamba_narrative.corpus.strip.speech import reads_like_a_story
from mamba_narrative.word_lists import words_beside

_KIND = (
    r"(?:preface|introduct(?:ion|ory)(?: (?:note|essay|remarks|sketch))?|foreword|afterword|postface|"
    r"prefatory (?:note|memoir)|"
    r"biographical (?:note|sketch|introduction|notice|essay)|bibliographical note|critical (?:note|introduction|"
    r"essay)|"
    r"memoir|note|notice|remarks|note on the (?:text|author|translation)|about the author|"
    r"life of (?:the author|.{3,40})|an? (?:appreciation|study|note)|[\w. ]{3,40}[—-]+ ?a study)"
)
_OFFICE = r"(?:translator|editor|publisher|printer|compiler|biographer)(?:['’]?s['’]?)?"
_HEADING = re.compile(
    rf"[\W_]*(?:the )?(?:{_OFFICE}\s+)?{_KIND}(?:[\W_]+(?:by|to|from|of|for)\b.{{0,120}})?[\W_]*",
    re.IGNORECASE | re.DOTALL,
)
_BY_OFFICE = re.compile(
    rf"\b{_OFFICE}|biographical|bibliographical|critical|memoir|about the author|note on the|life of|"
    rf"appreciation|study",
    re.IGNORECASE,
)
_BY_NAME = re.compile(r"\bby\s+(.{3,60})", re.IGNORECASE | re.DOTALL)
_ABOUT_EDITIONS = re.compile(
    r"\b(?:translat(?:ion|ed|or|ing)|edition|novels?|romances?|writings|author|literature|literary|published|"
    r"original|text|"
    r"readers?|version|manuscript)\b",
    re.IGNORECASE,
)
# Surnames that are common words: such an author must be named in full.
_COMMON = frozenset(words_beside(__file__, "common_surnames"))
_OWN_BOOK = re.compile(
    r"\b(?:my|mine) (?:own )?(?:\w+ )?(?:book|novel|story|stories|tale|tales|romance|heroine|hero|readers?|"
    r"publishers?|fiction|characters)\b"
    r"|\b(?:I|I have|I had) (?:wrote|written|began to write|intended)\b|\bthe (?:present )?(?:author|"
    r"writer) (?:wishes|desires|hopes|begs)",
)
_MIN_OWN = 2
"""Times that a preface says "my book" or the like: once, a friend of the author may quote."""
_LIMITS = {1: (0.12, 60_000), 2: (0.25, 120_000)}
"""Largest share of the book and number of characters, by the strength of the evidence."""
_MANY_NAMED = 10
"""Times that the author is named in a text about the author: the strong evidence."""
_MIN_NAMED = 2
"""The weak one: once may be a signature or a title page."""
_FRONT_SHARE, _BACK_SHARE = 0.25, 0.8
"""Parts of a book before and behind which prefaces and afterwords begin."""
_SIGNATURE_LENGTH = 60
"""Characters of a name with place and date; a paragraph is longer."""
_BETWEEN_AUTHORS = re.compile(r",? and |;|&")
_MAX_AUTHORS = 50
"""More are not looked for in a preface."""
_WORD_OF_NAME = re.compile(r"[^\W\d_][\w'’-]*")
# A bracket that nothing closes is put back as a whole, so that no other one is tried after it.
_EXPLANATION = re.compile(r"\([^)\n]*+\)|(\([^)\n]*+)")
_LETTERS = re.compile(r"[^\W\d_]+")
_MIN_LENGTH = 120
"""Characters of a preface of which anything can be said: two printed lines."""
_NEXT_HEADING = re.compile(
    r"[\W_]*(?:(?:chapter|book|part|volume|letter|section|stave|canto|act|scene)\s+\S{1,12}\b.{0,80}|"
    r"(?:[ivxlc]{1,6}|\d{1,3})\.?"
    r"|contents|prologue|dramatis person\S*|(?:list of )?(?:characters|illustrations)|dedication|epilogue|"
    r"the end|finis)[\W_]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Known:
    """What the header says of the book, in the form that it is looked for."""

    title: str
    """Letters and digits alone."""
    surnames: tuple[str, ...]
    names: tuple[str, ...]
    """Words of the authors' names."""


def _known(header: Header) -> _Known:
    names = tuple(word for word in _LETTERS.findall(_plain(header.author or "")) if word[0].isupper())
    return _Known(_letters(header.title or ""), tuple(_surnames(header)), names)


def find_prefaces(blocks: Sequence[Block], header: Header, titles: frozenset[str]) -> tuple[list[Span], list[str]]:
    """Spans of prefaces by others and warnings about what was left because it is too large.

    ``titles``: keys of the headings that the table of contents lists.
    """
    spans: list[Span] = []
    warnings: list[str] = []
    if not blocks:
        return spans, warnings
    known = _known(header)
    first, length = blocks[0].start, blocks[-1].end - blocks[0].start
    number = 0
    while number < len(blocks):
        place = (blocks[number].start - first) / max(length, 1)
        if _FRONT_SHARE < place < _BACK_SHARE or not _is_heading(blocks[number]):
            number += 1
            continue
        last = _last_block(blocks, number, known, titles)
        strength = _is_by_another(blocks[number], blocks[number + 1 : last + 1], known)
        if strength:
            share, characters = _LIMITS[strength]
            span = Span(blocks[number].start, blocks[last].end, "preface")
            if span.end - span.start <= min(share * length, characters):
                spans.append(span)
            else:
                warnings.append(f"large_preface_kept: {' '.join(blocks[number].text.split())[:60]}")
            number = last
        number += 1
    return spans, warnings


def _is_heading(block: Block) -> bool:
    return len(block.lines) <= 4 and len(block.text) < 160 and _HEADING.fullmatch(block.text.strip()) is not None


def _last_block(blocks: Sequence[Block], number: int, known: _Known, titles: frozenset[str]) -> int:
    """The last block before the next heading."""
    last = number
    for position in range(number + 1, len(blocks)):
        block = blocks[position]
        if len(block.lines) <= 3 and len(block.text) < 120:
            text = block.text.strip()
            if _NEXT_HEADING.fullmatch(text) or _is_heading(block) or (known.title and _letters(text) == known.title):
                break
            key = title_key(text)
            if position > number + 1 and ((len(key) > 3 and key in titles) or _is_capital_heading(blocks, position)):
                break
        last = position
    return last


def _is_capital_heading(blocks: Sequence[Block], position: int) -> bool:
    """A line in capitals that a paragraph of prose follows, and that is no signature at the end of the one before."""
    text = blocks[position].text.strip(" _*.\n")
    if len(blocks[position].lines) > 2 or not text.isupper() or len(text) < 4:
        return False
    following = blocks[position + 1 : position + 3]
    return any(len(block.text) > 200 for block in following)


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _is_by_another(heading: Block, body: Sequence[Block], known: _Known) -> int:
    """How strong the evidence is that another than the author wrote this: 0 (none), 1 or 2."""
    paragraphs = [block.text for block in body if len(block.text) > _SIGNATURE_LENGTH]
    text = _plain("\n\n".join(paragraphs))
    if len(text) < _MIN_LENGTH:
        return 0
    names = known.surnames
    named = sum(
        len(re.findall(rf"\b{re.escape(name)}(?!\w{{3}})" if len(name) > 4 else rf"\b{name}\b", text)) for name in names
    )
    if reads_like_a_story(text):
        return 0
    if len(_OWN_BOOK.findall(text)) >= _MIN_OWN or _signed_by_author(body, known.names):
        return 0
    if named >= _MIN_NAMED:
        return 2 if named >= _MANY_NAMED else 1
    writer = _BY_NAME.search(heading.text)
    by_another = writer is not None and not any(name.lower() in writer[1].lower() for name in names)
    office = _BY_OFFICE.search(heading.text) is not None
    kinds = {match.lower() for match in _ABOUT_EDITIONS.findall(text)}
    return int((office or by_another) and (named >= 1 or len(kinds) >= 3))


def _surnames(header: Header) -> list[str]:
    """The authors' surnames, shortened so that other spellings match; full names where the surname is a common word."""
    names = []
    for author in _BETWEEN_AUTHORS.split(_plain(header.author or ""), _MAX_AUTHORS)[:_MAX_AUTHORS]:
        words = _WORD_OF_NAME.findall(_EXPLANATION.sub(lambda bracket: bracket[1] or "", author))
        words = [
            word
            for word in words
            if word.lower().strip(".") not in ("jr", "sr", "sir", "esq", "mrs", "mr", "dr", "anonymous")
        ]
        if not words or len(words[-1]) < 4:
            continue
        surname = words[-1]
        if surname.lower() in _COMMON:
            names.append(f"{words[0]} {surname}" if len(words) > 1 else surname)
        else:
            names.append(surname)
    return names


def _plain(text: str) -> str:
    """Without accents: headers seldom have those of a name."""
    if text.isascii():
        return text
    return "".join(character for character in normalise("NFD", text) if not unicodedata.combining(character))


def _signed_by_author(body: Sequence[Block], words: Sequence[str]) -> bool:
    """Whether one of the last short lines is the author's name, whose words are given, or initials."""
    if not words:
        return False
    initials = "".join(word[0] for word in words)
    for block in body[-4:]:
        if len(block.text) <= _SIGNATURE_LENGTH:
            letters = _LETTERS.findall(_plain(block.text))
            if words[-1].lower() in {word.lower() for word in letters}:
                return True
            signed = "".join(letters)
            if 2 <= len(signed) <= 5 and signed.isupper() and signed[0] == initials[0] and signed[-1] == initials[-1]:
                return True
    return False
