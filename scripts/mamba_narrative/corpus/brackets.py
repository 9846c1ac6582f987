"""Bracketed tags such as ``[Illustration: ...]``, nested and over several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mamba_narrative.corpus.spans import Span

_MIN_NOTE_LENGTH, _MAX_LENGTH = 60, 6_000
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


def bracketed(text: str, start: int, end: int, rules: frozenset[str]) -> Iterator[Span]:
    """Spans of the tags in ``text[start:end]``; rules: ``illustration``, ``footnote``, ``sidenote``,
    ``transcriber_note``.
    """
    position = start
    for opening, (close, outermost) in sorted(_pairs(text, start, end).items()):
        if opening < position:
            continue
        if close is None and _ILLUSTRATION.match(text, opening):
            close = _end_of_unclosed(text, opening, end)
        rule = None if close is None else _rule(text, opening, close, outermost)
        if close is not None and rule is not None and rule in rules:
            yield Span(opening, close, rule)
            position = close


def _pairs(text: str, start: int, end: int) -> dict[int, tuple[int | None, bool]]:
    """For every opening bracket the offset behind its closing one (None: not nearby) and whether it is outermost."""
    pairs: dict[int, tuple[int | None, bool]] = {}
    stack: list[int] = []
    for match in _BRACKET.finditer(text, start, end):
        position = match.start()
        while stack and position - stack[0] > _MAX_LENGTH:
            stack.pop(0)
        if match[0] == "[":
            pairs[position] = (None, not stack)
            stack.append(position)
        elif stack:
            opening = stack.pop()
            pairs[opening] = (position + 1, pairs[opening][1])
    return pairs


def _end_of_unclosed(text: str, opening: int, end: int) -> int:
    """Where a tag ends whose brackets do not pair: at the first closing one of its paragraph, or with the paragraph."""
    paragraph_end = text.find("\n\n", opening, end)
    paragraph_end = end if paragraph_end < 0 else paragraph_end
    close = text.find("]", opening, paragraph_end)
    return paragraph_end if close < 0 else close + 1


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
