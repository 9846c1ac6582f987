"""Apparatus around and inside a book that is not its text: each rule returns the stretches it would remove.

Rules are few, and each asks for positive evidence; what none of them is sure of stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.brackets import bracketed
from mamba_narrative.corpus.contents import find_contents
from mamba_narrative.corpus.footnotes import find_footnotes
from mamba_narrative.corpus.header import Header
from mamba_narrative.corpus.notes import find_credits, find_notes, find_project_notes, mentions_project
from mamba_narrative.corpus.paragraphs import Block, split_blocks
from mamba_narrative.corpus.spans import Span, mask, without_overlaps

_TITLE_PAGE_BLOCKS, _TITLE_PAGE_WORDS = 20, 40
_IMPRINT = re.compile(
    r"""[\W_]*(?:by|copyright,?.{0,80}|all\ rights\ reserved.?|illustrated\ by\ .{1,60}|with\ illustrations.{0,60}
    |new\ york|london|boston|\d{4}|m?dccc[xlivc]+|first\ published.{0,40}|published.{0,60}
    |.{0,40}(?:publishers?|&\ co(?:mpany)?|&\ sons?|press)\.?)[\W_]*""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Apparatus:
    """What the rules found in a book."""

    spans: tuple[Span, ...]
    """In order, without overlaps."""
    titles: frozenset[str]
    """Keys of the headings that a table of contents lists."""
    warnings: tuple[str, ...]


def find_apparatus(text: str, start: int, end: int, header: Header, settings: StrippingSettings) -> Apparatus:
    """Apply the rules that are switched on to the book ``text[start:end]``; offsets are those of ``text``."""
    switches = {
        "illustration": settings.remove_illustrations,
        "footnote": settings.remove_footnotes,
        "transcriber_note": settings.remove_transcriber_notes,
    }
    found = list(bracketed(text, start, end, frozenset(rule for rule, wanted in switches.items() if wanted)))
    masked = mask(text, found)
    blocks = list(split_blocks(masked, start, end))
    if settings.remove_credits:
        found += find_credits(blocks)
    if settings.remove_transcriber_notes:
        found += find_notes(blocks)
    if settings.remove_footnotes:
        found += find_footnotes(blocks, masked)
    blocks = _outside(blocks, found)
    found += find_project_notes(blocks)
    blocks = _outside(blocks, found)
    titles: frozenset[str] = frozenset()
    if settings.remove_contents:
        contents, titles = find_contents(blocks, end - start)
        found += contents
        blocks = _outside(blocks, contents)
    if settings.remove_title_page:
        found += _title_page(blocks, header)
    warnings = [f"residue: {' '.join(block.lines)[:80]}" for block in blocks if mentions_project(block.text)]
    removed = without_overlaps(found)
    share = sum(span.end - span.start for span in removed) / max(end - start, 1)
    if share > settings.max_cut_share:
        warnings.append(f"much_apparatus: {share:.2f} of the book removed as notes, illustrations and the like")
    return Apparatus(tuple(removed), titles, tuple(warnings))


def _outside(blocks: Sequence[Block], spans: Iterable[Span]) -> list[Block]:
    """The blocks that no span touches."""
    ordered = without_overlaps(spans)
    kept: list[Block] = []
    position = 0
    for block in blocks:
        while position < len(ordered) and ordered[position].end <= block.start:
            position += 1
        if position == len(ordered) or ordered[position].start >= block.end:
            kept.append(block)
    return kept


def _title_page(blocks: Sequence[Block], header: Header) -> list[Span]:
    """Leading blocks that are title, author or imprint; nothing at all unless the title is among them."""
    if header.title is None:
        return []
    title = set(_words(header.title))
    words_of_header = title | set(_words(f"{header.author or ''} by"))
    spans: list[Span] = []
    has_title = False
    for block in blocks[:_TITLE_PAGE_BLOCKS]:
        words = _words(block.text)
        known = 0 < len(words) < _TITLE_PAGE_WORDS and words_of_header.issuperset(words)
        has_title = has_title or (known and not title.isdisjoint(words))
        if not known and not all(_IMPRINT.fullmatch(line.strip()) for line in block.lines):
            break
        spans.append(Span(block.start, block.end, "title_page"))
    return spans if has_title else []


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower().replace("_", " "))
