"""Footnotes that stand as paragraphs of their own, told by a mark that also stands in the text before them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

from mamba_narrative.corpus.strip.paragraphs import Block
from mamba_narrative.corpus.strip.spans import Span

_MARK_FORM = r"\[(?:\d{1,4}|[A-Z]{1,2}|\*{1,3}|[†‡§])\]|\{\d{1,4}[a-z]?\}|\(\*?\d{1,3}\)|\*{1,3}|[†‡]"
_FOOTNOTE = re.compile(rf"\s*({_MARK_FORM})\s*(?=[^\s*])")
_MARK_IN_TEXT = re.compile(
    r"(?<=\S)(?: ?(\[(?:\d{1,4}|[A-Z]{1,2}|\*{1,3}|[†‡§])\])| ?(\{\d{1,4}[a-z]?\})|(\(\*?\d{1,3}\)))"
)
_SIGN_IN_TEXT = re.compile(r"(?<=[a-z.,;:!?\"'”’)])(\*{1,3}|[†‡])(?![\w*])")
_HEADING = re.compile(r"[\W_]*(?:foot-?notes?|end-?notes?)[\W_]*", re.IGNORECASE)
_MAX_LENGTH = 4_000
"""Characters of a note of one paragraph: two printed pages. A longer one is text that begins with such a mark."""
_MAX_DISTANCE = 20_000
"""Characters between a sign such as ``*`` and its note: signs are used again and again."""


def find_footnotes(blocks: Sequence[Block], text: str) -> tuple[list[Span], frozenset[str]]:
    """The footnotes among ``blocks`` of ``text``, with the word "Footnotes" above them, and the marks they have."""
    marked = [
        (number, match)
        for number, block in enumerate(blocks)
        if block.lines[0].lstrip()[:1] in "[{(*†‡" and (match := _FOOTNOTE.match(block.lines[0]))
    ]
    if not marked:
        return [], frozenset()
    start, end = blocks[0].start, blocks[-1].end
    first_places: dict[str, int] = {}
    for match in _MARK_IN_TEXT.finditer(text, start, end):
        first_places.setdefault(match[1] or match[2] or match[3], match.start())
    signs: dict[str, list[int]] = defaultdict(list)
    for match in _SIGN_IN_TEXT.finditer(text, start, end):
        signs[match[1]].append(match.start())
    spans: list[Span] = []
    marks: set[str] = set()
    for number, match in marked:
        block, mark = blocks[number], match[1]
        if block.end - block.start > _MAX_LENGTH:
            continue
        if mark[0] in "*†‡":
            before = bisect_left(signs[mark], block.start)
            referred = before > 0 and signs[mark][before - 1] > block.start - _MAX_DISTANCE
        else:
            referred = first_places.get(mark, len(text)) < block.start
        if referred:
            if number and _HEADING.fullmatch(blocks[number - 1].text):
                spans.append(Span(blocks[number - 1].start, blocks[number - 1].end, "footnote"))
            spans.append(Span(block.start, block.end, "footnote"))
            marks.add(mark)
    return spans, frozenset(marks)
