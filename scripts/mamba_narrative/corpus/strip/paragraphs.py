"""Blocks of lines, and which of them are hard-wrapped prose.

A block is a run of lines that are not blank. Prose was wrapped by a typist or a program: a line ends where
the next word would no longer have fitted. Verse, letters, lists and tables end their lines earlier.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

_DEFAULT_WIDTH, _MIN_WIDTH = 72, 55
"""Characters of a typed line, and of the narrowest book that was wrapped as prose: verse is narrower."""
_MIN_OWN_WIDTH = 50
"""Characters of a block that is measured by itself: the same for a quotation, which is indented."""
_MAX_MARGIN = 10
"""Lines that all stand further to the right are centred, not wrapped."""
_FORCED_BREAK_SHARE = 0.75
"""Of line ends that wrapping forced: in prose all but a few, in verse one here and there."""
_SLACK = 0.88
"""A break counts as forced if the next word would have reached this part of the width: typists wrap early."""
_VERSE_CAPITALS_SHARE = 0.8
"""Of lines that begin with a capital: in verse nearly all, in prose about one in five."""
_MIN_UNSPACED = 30
"""Lines of a block in which paragraphs may follow each other without a blank line: longer than most paragraphs."""
_MIN_UNSPACED_WIDTH = 46
"""Characters of its lines: a long poem without stanzas is narrower."""
_MAX_STRAY = 0.1
"""Of short lines that end no sentence: more, and it is verse or a list."""
_ENDS_PARAGRAPH = re.compile(r"[.!?:][\"'”’»)\]_]*$|--$|—$")
_ENDS_SENTENCE = re.compile(r"[.!?:;—-][\"'”’»)\]_]*$|\*$")


@dataclass(frozen=True)
class Block:
    """Lines ``text[start:end]`` (without the last line end)."""

    start: int
    end: int
    lines: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """The lines as they are."""
        return "\n".join(self.lines)


def split_blocks(text: str, start: int = 0, end: int | None = None) -> Iterator[Block]:
    """The blocks of ``text[start:end]`` with offsets in ``text``."""
    end = len(text) if end is None else end
    lines: list[str] = []
    offset = block_start = start
    for line in text[start:end].split("\n"):
        if line and not line.isspace():
            if not lines:
                block_start = offset
            lines.append(line)
        elif lines:
            yield Block(block_start, offset - 1, tuple(lines))
            lines = []
        offset += len(line) + 1
    if lines:
        yield Block(block_start, end, tuple(lines))


def wrapping_width(blocks: Sequence[Block]) -> int:
    """The right margin of the book: nine tenths of the lines that another one follows are not longer."""
    lengths = Counter(len(line.rstrip()) for block in blocks if len(block.lines) >= 3 for line in block.lines[:-1])
    remaining = 0.1 * sum(lengths.values())
    for length in sorted(lengths, reverse=True):
        remaining -= lengths[length]
        if remaining < 0:
            return max(length, _MIN_WIDTH)
    return _DEFAULT_WIDTH


def split_at_indents(lines: Sequence[str]) -> list[list[str]]:
    """Paragraphs of a block whose paragraphs are told apart by an indented first line, not a blank one."""
    indented = [bool(line[:1].isspace()) for line in lines]
    starts = [number for number in range(1, len(lines)) if indented[number] and not indented[number - 1]]
    # Verse is indented too, but there the line before seldom ends a sentence, and few lines stand at the margin.
    if not starts or sum(indented) > 0.5 * len(lines) or sum(indented[1:]) > len(starts):
        return [list(lines)]
    if sum(bool(_ENDS_SENTENCE.search(lines[number - 1].rstrip())) for number in starts) < 0.8 * len(starts):
        return [list(lines)]
    borders = [0, *starts, len(lines)]
    return [list(lines[first:last]) for first, last in pairwise(borders)]


def split_at_short_lines(lines: Sequence[str]) -> list[list[str]]:
    """Paragraphs of a long block without any sign between them but the short last line of each.

    A line ends a paragraph if the next word would still have fitted and a sentence ends there. One piece, if the block
    is short or other lines are short too (verse, a list).
    """
    whole = [list(lines)]
    if len(lines) < _MIN_UNSPACED:
        return whole
    lengths = [len(line.rstrip()) for line in lines]
    own = sorted(lengths)[int(0.9 * len(lengths))]
    if own < _MIN_UNSPACED_WIDTH:
        return whole
    limit = _SLACK * own
    breaks, stray, capitals = [], 0, 0
    for number, (length, line, following) in enumerate(zip(lengths, lines, lines[1:], strict=False), start=1):
        if length + 1 + len(following.split(None, 1)[0]) < limit:
            if _ENDS_PARAGRAPH.search(line.rstrip()) and _begins_sentence(following):
                breaks.append(number)
            else:
                stray += 1
        else:
            capitals += _first_letter_is_capital(following)
    if not breaks or stray > _MAX_STRAY * len(lines) or capitals > 0.5 * (len(lines) - len(breaks)):
        return whole
    return [list(lines[first:last]) for first, last in pairwise([0, *breaks, len(lines)])]


def _begins_sentence(line: str) -> bool:
    first = line.lstrip()[:1]
    return first.isupper() or first.isdigit() or first in "\"“‘'(_"


def is_wrapped_prose(lines: Sequence[str], width: int) -> bool:
    """Whether the line ends within ``lines`` are the work of wrapping at ``width`` (or at the block's own width)."""
    if len(lines) == 1:
        return True
    margin = min(len(line) - len(line.lstrip()) for line in lines)
    lengths = [len(line.rstrip()) - margin for line in lines]
    own = max(lengths)
    capitals = 0.0
    if len(lines) >= 4:
        capitals = sum(_first_letter_is_capital(line) for line in lines[1:]) / (len(lines) - 1)
    # A block set narrower than the book (a quotation, say) is measured by itself, if it does not look like verse.
    fits_own = len(lines) >= 4 and own >= _MIN_OWN_WIDTH and capitals < 0.5
    full = width - margin if margin <= _MAX_MARGIN else width
    limit = _SLACK * (min(full, own) if fits_own else full)
    forced = sum(
        length + 1 + len(following.split(None, 1)[0]) >= limit
        for length, following in zip(lengths, lines[1:], strict=False)
    )
    if forced < _FORCED_BREAK_SHARE * (len(lines) - 1):
        return False
    return len(lines) < 4 or capitals < _VERSE_CAPITALS_SHARE


def _first_letter_is_capital(line: str) -> bool:
    return line.lstrip(" \t\"'“‘«_(")[:1].isupper()


def without_margin(lines: Sequence[str]) -> list[str]:
    """Lines without trailing space and without the indentation that all of them share."""
    expanded = [line.expandtabs(4).rstrip() for line in lines]
    margin = min(len(line) - len(line.lstrip()) for line in expanded)
    return [line[margin:] for line in expanded]
