"""Bracketed tags such as ``[Illustration: ...]``, nested and over several lines."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from mamba_narrative.corpus.strip.spans import Span

_MIN_NOTE_LENGTH, _MAX_LENGTH = 60, 6_000
"""Characters of a bracket without a known beginning that is a note: shorter ones are words of the text. And of any
bracket: a longer one was never closed, and its end belongs to another."""
# Words that also begin a stage direction ("[Drawing his sword.]") count only before a colon, a number or the end.
_ILLUSTRATION = re.compile(
    r"""\[[\ _*=]*(?:full[-\ ]page\ )?(?:
    (?:il+ustra\w+|illus\.|frontispiece|vignette|headpiece|tailpiece|colophon)(?![\w'’])
    |(?:image|picture|plate|map|decoration|ornament|cover|music|photograph|portrait|drawing|drop[-\ ]cap|abbildung)
        (?=[_*=]*(?:\]|:|\ ?\d|\ [ivxlc]+\b))
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_FOOTNOTE = re.compile(
    r"\[[ _*=]*(?:(?:footnotes?|fn\.?) ?(?:\d+|[A-Z*†‡])?[.:,]|note(?: ?(?:\d+|[A-Z])[.:,]|:))", re.IGNORECASE
)
_SIDENOTE = re.compile(
    r"\[[ _*=]*(?:side[- ]?note|margin(?:al note)?|headline|page heading)s? ?\d*[.:,]", re.IGNORECASE
)
_NOTE = re.compile(
    r"\[[ _*=]*(?:(?:see |cf\.? )?[\"“]?transcri|tr\. ?note|tn\b|t/n|e-?text|e-?book|project gutenberg|proofread|"
    r"the following e-?(?:text|book))",
    re.IGNORECASE,
)
_ANY_NOTE = re.compile(r"project\s+gutenberg|\be-?texts?\b|\be-?books?\b|transcriber|\w@\w+\.\w", re.IGNORECASE)
_BRACKET = re.compile(r"[\[\]]")
_END_OF_UNCLOSED = re.compile(r"\]|(?=\n\n)")


@dataclass
class _Pair:
    """An opening bracket, and the offset behind its closing one; None: not nearby."""

    opening: int
    is_outermost: bool
    close: int | None = None


def bracketed(text: str, start: int, end: int, rules: frozenset[str]) -> Iterator[Span]:
    """Spans of the tags in ``text[start:end]``; rules: ``illustration``, ``footnote``, ``sidenote``,
    ``transcriber_note``.
    """
    position = start
    for pair in _pairs(text, start, end):
        if pair.opening < position:
            continue
        close = pair.close
        if close is None and _ILLUSTRATION.match(text, pair.opening):
            close = _end_of_unclosed(text, pair.opening, end)
        rule = None if close is None else _rule(text, pair.opening, close, pair.is_outermost)
        if close is not None and rule is not None and rule in rules:
            yield Span(pair.opening, close, rule)
            position = close


def _pairs(text: str, start: int, end: int) -> Iterator[_Pair]:
    """Every opening bracket, in order, with its closing one."""
    waiting: deque[_Pair] = deque()
    still_open: deque[_Pair] = deque()
    for match in _BRACKET.finditer(text, start, end):
        position = match.start()
        while still_open and position - still_open[0].opening > _MAX_LENGTH:
            still_open.popleft()
        if match[0] == "[":
            pair = _Pair(position, not still_open)
            waiting.append(pair)
            still_open.append(pair)
        elif still_open:
            still_open.pop().close = position + 1
        # What is known goes on at once: a book may hold millions of brackets.
        while waiting and not (still_open and waiting[0] is still_open[0]):
            yield waiting.popleft()
    yield from waiting


def _end_of_unclosed(text: str, opening: int, end: int) -> int:
    """Where a tag ends whose brackets do not pair: at the first closing one of its paragraph, or with the paragraph."""
    found = _END_OF_UNCLOSED.search(text, opening, end)
    return end if found is None else found.end()


def _rule(text: str, opening: int, close: int, outermost: bool) -> str | None:
    if _ILLUSTRATION.match(text, opening):
        return "illustration"
    if _NOTE.match(text, opening):
        return "transcriber_note"
    if outermost and close - opening > _MIN_NOTE_LENGTH and _ANY_NOTE.search(text, opening, close):
        return "transcriber_note"
    if _FOOTNOTE.match(text, opening):
        return "footnote"
    if _SIDENOTE.match(text, opening):
        return "sidenote"
    return None
