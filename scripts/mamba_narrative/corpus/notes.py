"""What the makers of an electronic text wrote into it: credits, transcribers' notes, remarks on the project."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mamba_narrative.corpus.paragraphs import Block
from mamba_narrative.corpus.spans import Span

_FRONT_BLOCKS, _BACK_BLOCKS = 40, 25
_MAX_CREDIT_LINES, _MAX_NOTE_LINES, _MAX_NOTE_BLOCKS = 15, 40, 200
_MAX_BACK_MATTER = 20_000
_MAX_GAP_BETWEEN_NOTES = 3
_CREDIT = re.compile(
    r"""[\s*_\[(]*(?:
    (?:re-?)?(?:produced|transcribed|prepared|scanned|digiti[sz]ed|typed|proofed|proofread|created|converted)
        (?:,?\ (?:and|&)\ \w+)*\ (?:by|from|for)\b
    |(?:this\ |the\ )?(?:project\ gutenberg\ )?(?:e-?text|e-?book|electronic\ (?:text|edition))
        (?:\ \w+){0,4}\ (?:produced|prepared|created|transcribed|scanned|typed|converted|proofed|proofread|made)\b
    |(?:e-?text|e-?book)\ (?:producer|editor|transcriber)
    |(?:html|text)\ (?:version|file|conversion)(?:\ \w+)?\ by\b
    |special\ thanks\ (?:are\ due\ )?to\b
    |(?:further\ |minor\ )?corrections\ (?:\w+\ )?by\b
    |updated?\ (?:edition\ )?by\b
    |this\ (?:file|book|text)\ (?:was|is|has\ been)?\ ?(?:first\ )?
        (?:posted|produced|prepared|scanned|transcribed|typed)
    |(?:and\ )?(?:the\ )?(?:online\ )?distributed\ proofread
    |nous\ remercions\ la\ biblioth
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_CREDIT_TAIL = re.compile(
    r"pgdp\.net|distributed proofread|internet archive|https?://|www\.|html version|proofread|from (?:scans|images)|"
    r"digital librar|@\w+\.|e-?text|e-?book",
    re.IGNORECASE,
)
_NOTE_HEADING = re.compile(
    r"""[\W_]*(?:
    (?:(?:original\ )?preparer|redactor|poster|pg\ editor|e-text\ editor)(?:'s|’s)?\ notes?\b
    |(?:main\ |general\ |some\ |original\ |additional\ )?
        transcri(?:ber|ption|ptor|bing)(?:s|'s|’s|s'|s’|´s|`s)?\W*(?:end\ ?|foot\ ?)?
        (?:notes?|comments?|remarks?|corrections?|errata|endnotes?)
    |notes?\ (?:of|by|from|on)\ (?:the\ )?transcri
    |notes?\ du\ transcripteur
    |anmerkungen?\ (?:des|zur|der)\ (?:bearbeiter|transkription)
    |(?:list\ of\ )?(?:typographical|typographic|printer'?s?|obvious)\ (?:errors?|corrections?)
        \ (?:have\ been\ |were\ )?(?:corrected|by)
    |corrections\ made\ (?:by|to|in)\ (?:the\ )?(?:e-?text|e-?book|transcri|original)
    |e-?text\ (?:editor|transcriber|producer)'?s?\ notes?
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_NOTE_WORDS = re.compile(
    r"""\b(?:typo\w*|misprint\w*|spelling\w*|spelt|punctuation|hyphen\w*|transcri\w*|corrected|changed|retained
    |preserved|underscores?|italics?|asterisks?|small\ cap\w*|equal\ signs|superscript|scan\w*|diphthongs?
    |represented\ by|this\ text|original\ text|e-?text|e-?book|html|printed|page\ \d+|p\.\ \d+
    |for\ .{1,30}\ read)\b|=>|https?:""",
    re.IGNORECASE | re.VERBOSE,
)
_LIST_ITEM = re.compile(r"\s*(?:\(?\d{1,2}[.)]|[*•-] )")
_CORRECTION = re.compile(r"=>|changed to|corrected to")
_PROJECT = re.compile(r"project\s+gutenberg|gutenberg-tm|gutenberg\.(?:org|net)|pgdp\.net", re.IGNORECASE)
_ELECTRONIC = re.compile(
    r"\be-?texts?\b|\be-?books?\b|\bHTML\b|\w@\w+\.\w|https?:|www\.|distributed proof", re.IGNORECASE
)


def find_credits(blocks: Sequence[Block]) -> list[Span]:
    """Who produced the text, at the front or the back of the book."""
    spans: list[Span] = []
    for number in sorted(_margins(blocks)):
        block = blocks[number]
        if len(block.lines) > _MAX_CREDIT_LINES:
            continue
        follows_credit = bool(spans) and number > 0 and spans[-1].end == blocks[number - 1].end
        if _CREDIT.match(block.text) or (follows_credit and _CREDIT_TAIL.search(block.text)):
            spans.append(Span(block.start, block.end, "producer_credit"))
    return spans


def find_notes(blocks: Sequence[Block]) -> list[Span]:
    """Transcribers' notes with a heading; each goes on for as long as it talks like one."""
    spans: list[Span] = []
    margins = _margins(blocks)
    number = 0
    while number < len(blocks):
        block = blocks[number]
        if not any(_NOTE_HEADING.match(line) for line in block.lines[:3]):
            number += 1
            continue
        last = number
        only_heading = len(block.text) < 60
        while last + 1 < len(blocks) and last - number < _MAX_NOTE_BLOCKS:
            following = blocks[last + 1]
            if len(following.lines) > _MAX_NOTE_LINES and last + 1 not in margins:
                break
            continues = _continues_note(following, first=only_heading and last == number)
            if not continues and not _is_back_matter(blocks, last + 1):
                break
            last += 1
        spans.append(Span(block.start, blocks[last].end, "transcriber_note"))
        number = last + 1
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
            spans.append(Span(blocks[last + 1].start if in_preface else block.start, block.end, "gutenberg_note"))
            last = number
    return spans


def mentions_project(text: str) -> bool:
    """Whether Project Gutenberg or its proofreaders are named."""
    # The plain tests first: this is asked of every block of the book.
    return any(part in text for part in ("utenberg", "UTENBERG", "pgdp")) and _PROJECT.search(text) is not None


def _margins(blocks: Sequence[Block]) -> set[int]:
    """Indices of the blocks at the front and at the back of the book."""
    return {*range(min(_FRONT_BLOCKS, len(blocks))), *range(max(0, len(blocks) - _BACK_BLOCKS), len(blocks))}


def _continues_note(block: Block, first: bool) -> bool:
    hits = len(_NOTE_WORDS.findall(block.text))
    enough = 1 if first or len(block.text) < 200 or _LIST_ITEM.match(block.text) else 2
    corrections = sum(_CORRECTION.search(line) is not None for line in block.lines)
    return hits >= enough or corrections >= 0.5 * len(block.lines)


def _is_back_matter(blocks: Sequence[Block], number: int) -> bool:
    """Whether only a little is left of the book and most of it talks like a note."""
    rest = blocks[number:]
    if rest[-1].end - rest[0].start > min(_MAX_BACK_MATTER, 0.1 * (rest[-1].end - blocks[0].start)):
        return False
    notes = sum(len(block.text) for block in rest if _continues_note(block, first=False))
    return notes >= 0.5 * sum(len(block.text) for block in rest)
