"""What stands behind the last line of a book's text: advertisements, colophons, indexes, glossaries, appendices, notes.

Everything is looked for at the back alone. A part goes if its heading says what it is and its lines look like it, or,
without a heading, if it reads like a publisher's list to the very end. Dialogue speaks against every rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mamba_narrative.corpus.strip.imprint import is_imprint, is_imprint_line, signs_of_sale
from mamba_narrative.corpus.strip.paragraphs import Block, is_wrapped_prose
from mamba_narrative.corpus.strip.spans import Span
from mamba_narrative.corpus.strip.speech import has_speech, reads_like_a_story

_BACK_SHARE = 0.3
"""Part of a book in which its back matter stands."""
_LONG_PARTS = ("index", "appendix")
"""These are looked for in all of the second half: a long one is at least reported."""
_THE_END = re.compile(
    r"[\W_]*(?:the end|finis|end|fin|fine|ende|slut|loppu|einde)(?:[ \t]+of\b.{1,80})?[\W_]*", re.IGNORECASE
)
_INDEX = re.compile(r"[\W_]*(?:general |alphabetical )?index(?:es)?(?:[ \t]+(?:of|to)\b.{1,60})?[\W_]*", re.IGNORECASE)
_GLOSSARY = re.compile(
    r"[\W_]*(?:a |the )?(?:short |brief )?(?:glossary|vocabulary|glossarial \w+|list of (?:\w+ )?words|"
    r"pronouncing \w+)\b.{0,60}",
    re.IGNORECASE,
)
_APPENDIX = re.compile(
    r"[\W_]*(?:appendi(?:x|ces)(?:[ \t]+(?:[a-z]|[ivx]{1,4}|\d{1,2}|to\b.{1,60}|no\..{1,6}))?|addend(?:um|a)|"
    r"bibliography|errata|corrigenda)"
    r"[\W_]*(?:[-—:.][ \t]*.{1,80})?",
    re.IGNORECASE,
)
_NOTES = re.compile(
    r"[\W_]*(?:(?:foot|end)?notes?|(?:author|editor|translator)['’]?s['’]? notes)(?:[ \t]+(?:to|on)\b.{1,60})?[\W_]*",
    re.IGNORECASE,
)
_NOTE_ENTRY = re.compile(
    r"\s*(?:[\[({]?(?:\d{1,4}|[a-z]|\*{1,3}|[†‡])[\])}.:]|\*|†|\d{1,4} |note\b|page \d|p\. ?\d|chapter\b|"
    r"\(?\*?\d+\))",
    re.IGNORECASE,
)
# What is no entry is read to the end of its line, so that no line is tried from each of its characters.
_INDEX_ENTRY = re.compile(
    r"(?P<entry>\S.*?(?:,|(?<!\s)\s)\s*+(?:\d{1,4}|[ivxlc]{1,6})(?:[-–n]\w+)?[.;,]?_?\s*$|^[^\S\n]*+(?:see|_see)\b|"
    r"^[^\w\n]*+[A-Z][^\w\n]*+$)|\S.*",
    re.MULTILINE,
)
# Of a book, by what is removed: an index or notes of a history are long, a glossary is not. More is kept and reported.
_MAX_SHARE = {"index": 0.3, "glossary": 0.15, "appendix": 0.2, "footnote": 0.3, "advertisement": 0.3}
_MAX_GAP, _MAX_PROSE_GAP = 2_500, 2
"""Characters, and long paragraphs, without a sign of sale inside a publisher's list: the praise of one book."""
_LONG_PARAGRAPH = 400
"""Characters of a paragraph that is no entry of a list: more than five printed lines."""
_MAX_HEADING_LINES = 3
"""Of a part's heading and what stands below it without a blank line; more is a paragraph."""
_MAX_TITLES, _WIDTH = 250, 72
"""Blocks of a list of titles below "The End": some publishers list a whole library. The usual width of a line."""


@dataclass(frozen=True)
class BackSwitches:
    """Which of the rules of this module are on."""

    advertisement: bool
    appendix: bool
    footnote: bool
    glossary: bool
    index: bool
    title_page: bool


def find_back_matter(blocks: Sequence[Block], switches: BackSwitches) -> tuple[list[Span], list[str]]:
    """Spans behind the text by rule, and warnings about what was left because it is too large or speaks."""
    if not blocks:
        return [], []
    first, length = blocks[0].start, max(blocks[-1].end - blocks[0].start, 1)
    back = next(n for n, block in enumerate(blocks) if block.end - first >= (1 - _BACK_SHARE) * length)
    second_half = next(n for n, block in enumerate(blocks) if block.end - first >= 0.5 * length)
    found: list[tuple[int, int, str]] = []
    end = len(blocks)
    for find, rule in ((_colophon, "title_page"), (_advertisements, "advertisement")):
        start = find(blocks, back, end)
        if start < end:
            found.append((start, end, rule))
            end = start
    found += [part for part in _headed_parts(blocks, second_half, end) if part[2] in _LONG_PARTS or part[0] >= back]
    spans: list[Span] = []
    warnings: list[str] = []
    for start, stop, rule in sorted(found):
        if not getattr(switches, rule):
            continue
        share = (blocks[stop - 1].end - blocks[start].start) / length
        shown = " ".join(blocks[start].text.split())[:60]
        if share > _MAX_SHARE.get(rule, 0.1):
            warnings.append(f"large_{rule}_kept: {share:.2f} of the book from {shown!r}")
        elif rule != "advertisement" and reads_like_a_story("\n\n".join(block.text for block in blocks[start:stop])):
            warnings.append(f"{rule}_kept: it holds dialogue: {shown!r}")
        else:
            spans.append(Span(blocks[start].start, blocks[stop - 1].end, rule))
    return spans, warnings


def is_the_end(block: Block) -> bool:
    """Whether the block is nothing but the words that close a book."""
    return len(block.lines) <= 2 and len(block.text) < 100 and _THE_END.fullmatch(block.text) is not None


def _advertisements(blocks: Sequence[Block], back: int, end: int) -> int:
    """The first block of the publisher's list that reaches to block ``end``; ``end`` where there is none."""
    start, kinds, hits, gap, prose = end, set[str](), 0, 0, 0
    closed, number = False, end
    for number in range(end - 1, back - 1, -1):
        block = blocks[number]
        if is_the_end(block):
            closed = True
            break
        if has_speech(block.text):
            break
        signs = signs_of_sale(block)
        # A paragraph of the story may speak of a price or of printers; a puff speaks of several such things.
        if len(signs) >= (2 if len(block.text) > _LONG_PARAGRAPH / 2 else 1):
            start, kinds, hits, gap, prose = number, kinds | signs, hits + 1, 0, 0
            continue
        gap += len(block.text)
        prose += len(block.text) > _LONG_PARAGRAPH
        if gap > _MAX_GAP or prose > _MAX_PROSE_GAP:
            break
    if closed:
        # "The End" may be the title of the last chapter: what follows is a list from its first line on, or not at all.
        first = number + 1
        while first < min(start, end) and len(blocks[first].text) > _LONG_PARAGRAPH / 2:
            first = min(start, end)
        if first < end and _is_list(blocks[first:end], kinds):
            return first
    if hits < 2 or len(kinds) < 2 or (kinds == {"format", "heading"}):
        return end
    return _up_to_the_end(blocks, start, back) or _with_heading(blocks, start, back)


def _is_list(tail: Sequence[Block], kinds: set[str]) -> bool:
    """Whether what follows "The End" is a list of books, with or without prices."""
    if len(kinds) >= 2:
        return True
    lines = [line for block in tail for line in block.lines]
    short = sum(len(line.strip()) < 66 and not line.rstrip().endswith(("?", "!")) for line in lines)
    listed = sum(is_imprint_line(line) for line in lines)
    return bool(kinds) and (short > 0.9 * len(lines) or listed > 0.3 * len(lines))


def _up_to_the_end(blocks: Sequence[Block], start: int, back: int) -> int | None:
    """The first block below "The End" where only short lines stand between it and ``start``; None otherwise."""
    for number in range(start - 1, max(back, start - _MAX_TITLES) - 1, -1):
        if is_the_end(blocks[number]):
            return number + 1
        lines = blocks[number].lines
        if has_speech(blocks[number].text) or (len(lines) > 3 and is_wrapped_prose(lines, _WIDTH)):
            return None
    return None


def _with_heading(blocks: Sequence[Block], start: int, back: int) -> int:
    """``start``, moved up over short lines in capitals: the heading of the list."""
    while start > back:
        text = blocks[start - 1].text.strip()
        if is_the_end(blocks[start - 1]) or len(text) > 80 or not text.isupper():
            break
        start -= 1
    return start


def _colophon(blocks: Sequence[Block], back: int, end: int) -> int:
    """The first block of the printer's name at the very end; ``end`` where there is none."""
    start = end
    while start > back and start > end - 6:
        block = blocks[start - 1]
        divider = not any(map(str.isalnum, block.text))
        if is_the_end(block) or not (divider or is_imprint(block)):
            break
        start -= 1
    text = "\n".join(block.text for block in blocks[start:end]).lower()
    return start if re.search(r"\bprint(?:ed|ers?)\b|\bpress\b|illustrations reproduced", text) else end


def _headed_parts(blocks: Sequence[Block], back: int, end: int) -> list[tuple[int, int, str]]:
    """Indexes, glossaries, appendices and end notes between the blocks ``back`` and ``end``."""
    found: list[tuple[int, int, str]] = []
    number = back
    while number < end:
        rule = _rule_of_heading(blocks[number])
        if rule is None:
            number += 1
            continue
        stop = number + 1
        while stop < end and not is_the_end(blocks[stop]) and (_rule_of_heading(blocks[stop]) in (None, rule)):
            stop += 1
        if _looks_like(rule, blocks[number], blocks[number + 1 : stop]):
            found.append((number, stop, rule))
        number = stop
    return found


def _rule_of_heading(block: Block) -> str | None:
    heading = block.lines[0].strip()
    if len(heading) > 100:
        return None
    for pattern, rule in ((_INDEX, "index"), (_GLOSSARY, "glossary"), (_APPENDIX, "appendix"), (_NOTES, "footnote")):
        if pattern.fullmatch(heading) and (len(block.lines) <= _MAX_HEADING_LINES or rule in ("index", "footnote")):
            return rule
    return None


def _looks_like(rule: str, heading: Block, body: Sequence[Block]) -> bool:
    """Second opinion on the part that a heading announces."""
    lines = [*heading.lines[1:], *(line for block in body for line in block.lines)]
    if not lines:
        return rule == "footnote"
    if rule == "index":
        return _count_index_entries(lines) > 0.3 * len(lines)
    if rule == "footnote":
        entries = sum(_NOTE_ENTRY.match(block.lines[0]) is not None for block in body)
        return entries >= 0.5 * len(body)
    if rule == "glossary":
        return sum(len(block.text) < 300 for block in body) > 0.6 * len(body)
    return True


def _count_index_entries(lines: Sequence[str]) -> int:
    return sum(match["entry"] is not None for match in _INDEX_ENTRY.finditer("\n".join(lines)))
