"""Page numbers of the printed book that stand on lines of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from mamba_narrative.corpus.strip.paragraphs import Block
from mamba_narrative.corpus.strip.spans import Span

_NUMBER = re.compile(r"[\s\[({<—–-]*(?:page |pg\.? |p\. ?)?(\d{1,4})[\s\])}>.—–-]*", re.IGNORECASE)
_MIN_NUMBERS = 20
"""Lines with nothing but a number: fewer may be chapters or verses."""
_MIN_ASCENDING = 0.8
"""Part of them that counts upwards: some are misread, and front matter counts for itself."""
_MAX_STEP = 4
"""Pages without a number (plates, first pages of chapters) come in a row, but not many."""
_MAX_MEDIAN_GAP = 4_000
"""Characters between two page numbers: chapters with bare numbers are further apart."""


def find_page_numbers(blocks: Sequence[Block]) -> list[Span]:
    """The lines that hold nothing but a number, where there are many and they count the pages."""
    numbered = [
        (int(match[1]), block)
        for block in blocks
        if len(block.lines) == 1 and len(block.lines[0]) < 30 and (match := _NUMBER.fullmatch(block.lines[0]))
    ]
    if len(numbered) < _MIN_NUMBERS:
        return []
    pairs = list(pairwise(numbered))
    ascending = sum(0 < later - value <= _MAX_STEP for (value, _), (later, _) in pairs)
    gap = median(later.start - block.end for (_, block), (_, later) in pairs)
    if ascending < _MIN_ASCENDING * len(pairs) or gap > _MAX_MEDIAN_GAP:
        return []
    return [Span(block.start, block.end, "page_number") for _, block in numbered]
