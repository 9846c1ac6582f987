"""What the makers of an electronic text wrote into it: credits, transcribers' notes, remarks on the project."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mamba_narrative.corpus.strip.paragraphs import Block
from mamba_narrative.corpus.strip.spans import Span
from mamba_narrative.word_lists import any_of

_FRONT_BLOCKS, _BACK_BLOCKS = 40, 25
"""Blocks in which credits and notes about electronic texts are looked for: title pages and contents stand in front,
a publisher's list behind."""
_FRONT_EDGE, _BACK_EDGE = 20, 12
"""Blocks in which even a note without a heading is looked for."""
_MAX_CREDIT_LINES, _MAX_NOTE_LINES, _MAX_NOTE_BLOCKS = 15, 40, 2_000
"""Of a credit with a dozen names, of a paragraph in a note, and of a note that lists each correction in a block."""
_MAX_BACK_MATTER = 20_000
"""Characters at the back that a note may take though not every block talks like one: a long list of corrections."""
_MAX_GAP_BETWEEN_NOTES = 3
"""Blocks between two paragraphs that name the project, in an editor's preface: more, and they are no one text."""
_CREDIT = re.compile(rf"[\s*_\[(]*+{any_of(__file__, 'credits')}", re.IGNORECASE)
_CREDIT_TAIL = re.compile(
    r"pgdp\.net|distributed proofread|internet archive|https?://|www\.|html version|proofread|from (?:scans|images)|"
    r"digital librar|@\w+\.|e-?text|e-?book",
    re.IGNORECASE,
)
_NOTE_HEADING = re.compile(rf"[\W_]*+{any_of(__file__, 'note_headings')}", re.IGNORECASE)
_NOTE_WORDS = re.compile(rf"\b{any_of(__file__, 'note_words')}\b|=>|https?:", re.IGNORECASE)
# What a note without a heading says: how the text was made from a book, and what became of its spelling.
_BARE_NOTE = re.compile(
    r"""\b(?:this|the)\ (?:e-?text|electronic\ \w+|text|edition|version|file|transcription|book)\ (?:\w+\ ){0,3}
        (?:is|was|has\ been)\ (?:\w+\ ){0,2}(?:typed|transcribed|scanned|prepared|taken\ from|based\ (?:up)?on
            |derived|reproduced|that\ of
        |produced|digiti[sz]ed|copied)
    |\boriginal\ (?:posting|scans?|e-?text)\b|\bsource\ (?:book|text|edition)['’s]*\b.{0,60}\b(?:header|page
        |had|has|used|contain)
    |\b(?:spellings?|punctuation|hyphenation|hyphens|typos?|typographical\ errors?|misprints?|quotation\ marks?
        |inconsisten\w+)\b.{0,120}
        \b(?:retained|preserved|corrected|changed|moderni[sz]ed|standardi[sz]ed|normali[sz]ed|removed
            |left\ (?:as|un)|maintained|amended|regulari[sz]ed)\b
    |\b(?:oe|ae|œ|æ)[\ -]ligatures?\b|\bhas\ been\ changed\ (?:throughout|to)\b|\bvariant\ (?:spellings?|hyphenation)
    |\bconsistently\ (?:refers|spell\w*|uses)\b|^\W*end\ of\ trans?cription|\bis\ (?:shown|indicated|denoted
        |represented|marked)\ (?:by|with|like)\b
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_ANY_NOTE_HEADING = re.compile(r"[\W_]*(?:notes?|source|about this (?:text|edition|file))[\W_]*", re.IGNORECASE)
_KEY_LINE = re.compile(r"\s*\S{1,8} +(?:=|represents|stands for) +\S")
_MAX_BARE_NOTE = 900
"""Characters of a note without a heading: a paragraph of a dozen lines. A longer one may be the author's."""
_LIST_ITEM = re.compile(r"\s*(?:\(?\d{1,2}[.)]|[*•-] )")
_PLACE = re.compile(r"\W*(?:on )?(?:page|pg\.?|p\.|line|chapter) ?\d+\W.*\S", re.IGNORECASE)
_CORRECTION = re.compile(r"=>|changed to|corrected to")
_PROJECT = re.compile(r"project\s+gutenberg|gutenberg-tm|gutenberg\.(?:org|net)|pgdp\.net", re.IGNORECASE)
_ELECTRONIC = re.compile(
    r"\be-?texts?\b|\be-?books?\b|\belectronic (?:text|edition|version)|\bHTML\b|\w@\w+\.\w|https?:|www\.|"
    r"distributed proof",
    re.IGNORECASE,
)


def find_credits(blocks: Sequence[Block]) -> list[Span]:
    """Who produced the text, at the front or the back of the book."""
    spans: list[Span] = []
    for number in sorted(_margins(blocks)):
        block = blocks[number]
        if len(block.lines) > _MAX_CREDIT_LINES:
            continue
        follows_credit = bool(spans) and number > 0 and spans[-1].end == blocks[number - 1].end
        if _CREDIT.match(" ".join(block.text.split())) or (follows_credit and _CREDIT_TAIL.search(block.text)):
            spans.append(Span(block.start, block.end, "producer_credit"))
    return spans


def find_notes(blocks: Sequence[Block]) -> list[Span]:
    """Transcribers' notes with a heading; each goes on for as long as it talks like one."""
    spans: list[Span] = []
    margins = _margins(blocks)
    back_matter: set[int] | None = None
    number = 0
    while number < len(blocks):
        block = blocks[number]
        if not any(_NOTE_HEADING.match(line) for line in block.lines[:3]):
            number += 1
            continue
        last = number
        only_heading = len(block.text) < 60
        back_matter = _back_matter(blocks) if back_matter is None else back_matter
        while last + 1 < len(blocks) and last - number < _MAX_NOTE_BLOCKS:
            following = blocks[last + 1]
            if len(following.lines) > _MAX_NOTE_LINES and last + 1 not in margins:
                break
            continues = _continues_note(following, first=only_heading and last == number)
            if not continues and last + 1 not in back_matter:
                break
            last += 1
        spans.append(Span(block.start, blocks[last].end, "transcriber_note"))
        number = last + 1
    return spans


def find_bare_notes(blocks: Sequence[Block]) -> list[Span]:
    """Notes without a heading at the very front and the very back, and keys to signs (``_ = italics``)."""
    edges = [*blocks[:_FRONT_EDGE], *blocks[max(_FRONT_EDGE, len(blocks) - _BACK_EDGE) :]]
    spans = [Span(b.start, b.end, "transcriber_note") for b in blocks[:_FRONT_EDGE] if b.text.startswith("Summary:")]
    for block in edges:
        if len(block.text) > _MAX_BARE_NOTE or block.text.lstrip()[0] in "\"“‘'":
            continue
        keys = sum(_KEY_LINE.match(line) is not None for line in block.lines)
        if _BARE_NOTE.search(" ".join(block.text.split())) or keys >= max(0.6 * len(block.lines), 1):
            spans.append(Span(block.start, block.end, "transcriber_note"))
    return spans


def find_project_notes(blocks: Sequence[Block]) -> list[Span]:
    """Paragraphs about Project Gutenberg, and at the front or back about electronic texts."""
    margins = _margins(blocks)
    spans: list[Span] = []
    last = -_FRONT_BLOCKS
    for number, block in enumerate(blocks):
        if len(block.lines) > _MAX_NOTE_LINES:
            continue
        if mentions_project(block.text) or (number in margins and _ELECTRONIC.search(block.text)):
            # In front of the book an editor's preface names the project in most of its paragraphs, not in all.
            in_preface = number < _FRONT_BLOCKS and number - last <= _MAX_GAP_BETWEEN_NOTES + 1
            headed = number > 0 and _ANY_NOTE_HEADING.fullmatch(blocks[number - 1].text) is not None
            first = blocks[last + 1] if in_preface else blocks[number - headed]
            spans.append(Span(first.start, block.end, "gutenberg_note"))
            last = number
    return spans


def mentions_project(text: str) -> bool:
    """Whether Project Gutenberg or its proofreaders are named."""
    # The plain tests first: this is asked of every block of the book.
    return ("utenberg" in text or "UTENBERG" in text or "pgdp" in text) and _PROJECT.search(text) is not None


def _margins(blocks: Sequence[Block]) -> set[int]:
    """Indices of the blocks at the front and at the back of the book."""
    return {*range(min(_FRONT_BLOCKS, len(blocks))), *range(max(0, len(blocks) - _BACK_BLOCKS), len(blocks))}


def _continues_note(block: Block, first: bool) -> bool:
    if _PLACE.match(block.text):
        return True
    hits = len(_NOTE_WORDS.findall(block.text))
    enough = 1 if first or len(block.text) < 200 or _LIST_ITEM.match(block.text) else 2
    corrections = sum(_CORRECTION.search(line) is not None for line in block.lines)
    return hits >= enough or corrections >= 0.5 * len(block.lines)


def _back_matter(blocks: Sequence[Block]) -> set[int]:
    """The blocks from which on only a little is left of the book and a good part of it talks like a note."""
    limit = min(_MAX_BACK_MATTER, 0.1 * (blocks[-1].end - blocks[0].start))
    found: set[int] = set()
    notes = characters = 0
    for number in range(len(blocks) - 1, -1, -1):
        block = blocks[number]
        if blocks[-1].end - block.start > limit:
            break
        characters += len(block.text)
        notes += len(block.text) * _continues_note(block, first=False)
        if notes >= 0.3 * characters:
            found.add(number)
    return found
