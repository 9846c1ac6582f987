"""The narrative parts of a collection: a magazine, an author's works, stories bound with essays, verse or a play.

A collection is divided at the headings of its works; each is judged by its own text, as a whole book would be. Only
collections are divided, and only at titles without a number: a chapter of reflections belongs to its novel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.corpus.raw.catalogue import FORM_GENRES, CatalogueEntry, genre_of
from mamba_narrative.corpus.select.features import measure_text, narrates
from mamba_narrative.word_lists import any_of

Range = tuple[int, int]
"""Beginning and end of a stretch of text, in characters."""

_STORIES_TITLE = re.compile(r"\b(?:stories|tales|magazine|weekly|fairy book)\b", re.IGNORECASE)
_COLLECTION_TITLE = re.compile(rf"\b{any_of(__file__, 'collection_titles')}\b", re.IGNORECASE)
_COLLECTION_SUBJECT = re.compile(r"\b(?:short stories|collections|periodicals)\b", re.IGNORECASE)
_NUMBERED = re.compile(
    r"(?:the\s+)?(?:\w+\s+)?(?:chapter|chap\.?|book|part|volume|letter|section|act|canto|scene)\b|[ivxlc]+\b(?!['’])|\d",
    re.IGNORECASE,
)
_MAX_HEADING_CHARACTERS, _MAX_HEADING_WORDS = 80, 10
"""Of a title in capitals: one printed line."""
_MIN_SECTION_WORDS = 150
"""Words of a section that is judged: less is a title page or a motto, of which no rate can be measured."""
_DOUBTFUL_NARRATIVE, _DOUBTFUL_PERSONS = 0.3, 0.05
"""Measures that are enough among stories, one of which may be in the present tense or have no persons but one."""
_MIN_RUN_WORDS = 500
"""A shorter run of sections goes with what is around it: a poem between two tales, an anecdote in an essay."""


@dataclass(frozen=True)
class Work:
    """A stretch of text from a title to the next."""

    start: int
    end: int
    words: int
    is_narrative: bool


def is_collection(title: str, entry: CatalogueEntry | None) -> bool:
    """Whether title or catalogue say that a book holds several works, of which some may be stories."""
    if entry is not None:
        genre, says_fiction = genre_of(entry)
        if genre in FORM_GENRES or genre == "essays":
            return says_fiction
        if genre not in ("fiction", "unknown"):
            return False
        if any(map(_COLLECTION_SUBJECT.search, entry.subjects)):
            return True
    return bool(_STORIES_TITLE.search(title) or _COLLECTION_TITLE.search(title))


def promises_stories(title: str, entry: CatalogueEntry | None) -> bool:
    """Whether title or catalogue say that there are stories among what a collection holds."""
    return bool(_STORIES_TITLE.search(title)) or (entry is not None and genre_of(entry)[1])


def narrative_ranges(
    text: str, headings: Iterable[int], settings: SelectionSettings, *, doubtful: bool
) -> tuple[list[Range], int]:
    """The stretches of ``text`` to keep, in order, and their number of words.

    ``headings``: offsets of known chapter headings; lines in capitals that stand alone divide the text, too.
    ``doubtful``: whether sections with little narration or with persons alone (a story in the present tense, an essay
    on somebody) are kept, as among stories, or not.
    """
    sections = _smoothed([_judged(text, span, settings, doubtful) for span in _sections(text, headings)])
    ranges: list[Range] = []
    for section in sections:
        if section.is_narrative:
            if ranges and ranges[-1][1] == section.start:
                ranges[-1] = (ranges[-1][0], section.end)
            else:
                ranges.append((section.start, section.end))
    return ranges, sum(section.words for section in sections if section.is_narrative)


def _sections(text: str, headings: Iterable[int]) -> list[Range]:
    """The text divided at its headings without a number; a section of few words goes with the one below it."""
    titles = (offset for offset in (*headings, *_lines_in_capitals(text)) if offset < len(text))
    begins = sorted({0, *(offset for offset in titles if not _NUMBERED.match(text, offset))})
    sections: list[Range] = []
    start, words = begins[0], 0
    for begin, end in pairwise([*begins, len(text)]):
        words += len(text[begin:end].split())
        if words >= _MIN_SECTION_WORDS or end == len(text):
            sections.append((start, end))
            start, words = end, 0
    return sections


def _lines_in_capitals(text: str) -> list[int]:
    """Offsets of lines in capitals that stand alone, but for those below a number, whose chapter they name."""
    offsets = []
    offset = 0
    below_number = False
    for block in text.split("\n\n"):
        is_short = len(block) <= _MAX_HEADING_CHARACTERS and len(block.split()) <= _MAX_HEADING_WORDS
        if is_short and block.isupper() and not below_number:
            offsets.append(offset)
        below_number = is_short and _NUMBERED.match(block) is not None
        offset += len(block) + 2
    return offsets


def _judged(text: str, span: Range, settings: SelectionSettings, doubtful: bool) -> Work:
    features = measure_text(text[slice(*span)])
    other_fraction = features.verse_fraction + features.play_fraction + features.list_fraction
    is_narrative = narrates(features, settings) or (
        doubtful and (features.narrative_fraction >= _DOUBTFUL_NARRATIVE or features.person_rate >= _DOUBTFUL_PERSONS)
    )
    return Work(*span, features.words, is_narrative and other_fraction <= settings.max_other_form_fraction)


def _smoothed(sections: Sequence[Work]) -> list[Work]:
    """Sections in which short runs of one kind have become what surrounds them; narrative gaps are closed first."""
    smoothed = list(sections)
    for kind in (False, True):
        runs = _runs(smoothed)
        for number, (begin, end) in enumerate(runs):
            is_inside = kind or 0 < number < len(runs) - 1
            words = sum(section.words for section in smoothed[begin:end])
            if smoothed[begin].is_narrative is kind and words < _MIN_RUN_WORDS and is_inside:
                smoothed[begin:end] = [
                    Work(section.start, section.end, section.words, not kind) for section in smoothed[begin:end]
                ]
    return smoothed


def _runs(sections: Sequence[Work]) -> list[Range]:
    begins = [
        position
        for position, section in enumerate(sections)
        if not position or section.is_narrative != sections[position - 1].is_narrative
    ]
    return list(zip(begins, [*begins[1:], len(sections)], strict=True))
