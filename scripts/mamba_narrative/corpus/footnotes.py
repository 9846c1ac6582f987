"""Footnotes that stand as paragraphs of their own, told by a mark that also stands in the text before them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mamba_narrative.corpus.paragraphs import Block
from mamba_narrative.corpus.spans import Span

_MARK_FORM = r"\[(?:\d{1,4}|[A-Z]{1,2}|\*{1,3})\]|\{\d{1,4}[a-z]?\}|\(\d{1,3}\)"
_FOOTNOTE = re.compile(rf"\s*({_MARK_FORM})\s*\S")
_MARK_IN_TEXT = re.compile(rf"(?<=\S)\s?({_MARK_FORM})")
_HEADING = re.compile(r"[\W_]*(?:foot-?notes?|end-?notes?)[\W_]*", re.IGNORECASE)


def find_footnotes(blocks: Sequence[Block], text: str) -> list[Span]:
    """The footnotes among ``blocks`` of ``text``, with the word "Footnotes" above them."""
    marked = [(number, match) for number, block in enumerate(blocks) if (match := _FOOTNOTE.match(block.lines[0]))]
    if not marked:
        return []
    first_places: dict[str, int] = {}
    for match in _MARK_IN_TEXT.finditer(text):
        first_places.setdefault(match[1], match.start())
    spans: list[Span] = []
    for number, match in marked:
        if first_places.get(match[1], len(text)) < blocks[number].start:
            if number and _HEADING.fullmatch(blocks[number - 1].text):
                spans.append(Span(blocks[number - 1].start, blocks[number - 1].end, "footnote"))
            spans.append(Span(blocks[number].start, blocks[number].end, "footnote"))
    return spans
