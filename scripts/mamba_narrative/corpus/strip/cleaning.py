"""Apparatus around and inside a book that is not its text: each rule returns the stretches it would remove.

Rules are few, and each asks for positive evidence; what none of them is sure of stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.header import Header
from mamba_narrative.corpus.strip.back_matter import BackSwitches, find_back_matter
from mamba_narrative.corpus.strip.brackets import bracketed
from mamba_narrative.corpus.strip.contents import find_contents
from mamba_narrative.corpus.strip.footnotes import find_footnotes
from mamba_narrative.corpus.strip.front_pages import FrontSwitches, find_front_pages
from mamba_narrative.corpus.strip.notes import (
    find_bare_notes,
    find_credits,
    find_notes,
    find_project_notes,
    mentions_project,
)
from mamba_narrative.corpus.strip.page_numbers import find_page_numbers
from mamba_narrative.corpus.strip.paragraphs import Block, split_blocks
from mamba_narrative.corpus.strip.prefaces import find_prefaces
from mamba_narrative.corpus.strip.spans import Span, mask, without_overlaps
from mamba_narrative.corpus.strip.speech import reads_like_a_story

_LARGE = 5_000
"""Characters from which on a single removal needs a second opinion."""


@dataclass(frozen=True)
class Apparatus:
    """What the rules found in a book."""

    spans: tuple[Span, ...]
    """In order, without overlaps."""
    titles: frozenset[str]
    """Keys of the headings that a table of contents lists."""
    footnote_marks: frozenset[str]
    """The marks that led to the footnotes which were removed."""
    warnings: tuple[str, ...]


def find_apparatus(text: str, start: int, end: int, header: Header, settings: StrippingSettings) -> Apparatus:
    """Apply the rules that are switched on to the book ``text[start:end]``; offsets are those of ``text``."""
    switches = {
        "illustration": settings.remove_illustrations,
        "footnote": settings.remove_footnotes,
        "sidenote": settings.remove_sidenotes,
        "transcriber_note": settings.remove_transcriber_notes,
    }
    found = list(bracketed(text, start, end, frozenset(rule for rule, wanted in switches.items() if wanted)))
    masked = mask(text, found)
    blocks = list(split_blocks(masked, start, end))
    marks: frozenset[str] = frozenset()
    if settings.remove_credits:
        found += find_credits(blocks)
    if settings.remove_transcriber_notes:
        found += find_notes(blocks)
    if settings.remove_footnotes:
        footnotes, marks = find_footnotes(blocks, masked)
        found += footnotes
    if settings.remove_page_numbers:
        found += find_page_numbers(blocks)
    blocks = _outside(blocks, found)
    found += find_project_notes(blocks)
    blocks = _outside(blocks, found)
    if settings.remove_transcriber_notes:
        found += find_bare_notes(blocks)
        blocks = _outside(blocks, found)
    edges, titles, warnings = _edges_of_book(blocks, header, settings)
    found += edges
    blocks = _outside(blocks, edges)
    warnings += [f"residue: {' '.join(block.lines)[:80]}" for block in blocks if mentions_project(block.text)]
    removed, doubtful = _with_second_opinion(without_overlaps(found), text)
    warnings += doubtful
    share = sum(span.end - span.start for span in removed) / max(end - start, 1)
    if share > settings.max_cut_fraction:
        warnings.append(f"much_apparatus: {share:.2f} of the book removed as notes, illustrations and the like")
    return Apparatus(tuple(removed), titles, marks, tuple(warnings))


def _with_second_opinion(spans: Sequence[Span], text: str) -> tuple[list[Span], list[str]]:
    """The spans without large ones that read like a story, and a warning for each of those."""
    kept: list[Span] = []
    warnings: list[str] = []
    for span in spans:
        if span.end - span.start > _LARGE and reads_like_a_story(text[span.start : span.end]):
            shown = " ".join(text[span.start : span.start + 200].split())[:60]
            warnings.append(f"doubtful_{span.rule}_kept: {span.end - span.start} characters from {shown!r}")
        else:
            kept.append(span)
    return kept, warnings


def _edges_of_book(
    blocks: Sequence[Block], header: Header, settings: StrippingSettings
) -> tuple[list[Span], frozenset[str], list[str]]:
    """What stands in front of and behind the text, the headings that its contents list, and warnings."""
    if not blocks:
        return [], frozenset(), []
    contents, titles = find_contents(blocks, blocks[-1].end - blocks[0].start)
    wanted = {"contents": settings.remove_contents, "list_of_illustrations": settings.remove_lists_of_illustrations}
    found = [span for span in contents if wanted[span.rule]]
    blocks = _outside(blocks, found)
    behind, warnings = find_back_matter(
        blocks,
        BackSwitches(
            advertisement=settings.remove_advertisements,
            appendix=settings.remove_appendices,
            footnote=settings.remove_footnotes,
            glossary=settings.remove_glossaries,
            index=settings.remove_indexes,
            title_page=settings.remove_title_page,
        ),
    )
    found += behind
    blocks = _outside(blocks, behind)
    if settings.remove_prefaces:
        prefaces, large = find_prefaces(blocks, header, titles)
        found += prefaces
        warnings += large
        blocks = _outside(blocks, prefaces)
    found += find_front_pages(
        blocks,
        header,
        titles,
        FrontSwitches(settings.remove_title_page, settings.remove_dedications, settings.remove_advertisements),
    )
    return found, titles if settings.remove_contents else frozenset(), warnings


def _outside(blocks: Sequence[Block], spans: Sequence[Span]) -> list[Block]:
    """The blocks that no span touches."""
    if not spans:
        return list(blocks)
    ordered = without_overlaps(spans)
    kept: list[Block] = []
    position = 0
    for block in blocks:
        while position < len(ordered) and ordered[position].end <= block.start:
            position += 1
        if position == len(ordered) or ordered[position].start >= block.end:
            kept.append(block)
    return kept
