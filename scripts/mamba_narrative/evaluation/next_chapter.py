"""Chapter-suffix identification (ChapterBreak, Sun et al. 2022): which chapter's opening follows this chapter's end?

Six chapters of a book form a group. Each of them gives one trial: the text before its heading is the prefix, the six
openings are the candidates. What an opening costs by itself differs far more between openings than any prefix changes
it, so a model that is right only where it overcomes that would look blind: a small trained model chose the same opening
after all six prefixes in every group of 25 real books. Each opening is therefore measured against its own mean over the
six prefixes (as Holtzman et al. 2021, Surface Form Competition, measure answers against their own probability). A model
that ignores the prefix has six ties: it is at chance exactly.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from mamba_narrative.corpus.formats.chapter_table import Heading
from mamba_narrative.evaluation.book_texts import BookText
from mamba_narrative.evaluation.scoring import Ids, Losses, Trial
from mamba_narrative.tokens.tokenizer import Tokenizer

CHOICES = 6
_TIE = 1e-6
_SUFFIXES_IN_A_CHAPTER = 4
_VISIBLE = re.compile(r"\S")
# More than any token has on average, so that the text holds enough of them.
_CHARACTERS_OF_A_TOKEN = 12


@dataclass(frozen=True)
class _Break:
    """Where a chapter's heading begins, and where its story does, in characters."""

    heading: int
    opening: int


def chapter_trials(
    book: BookText,
    headings: Sequence[Heading],
    suffix_tokens: int,
    prefix_tokens: int,
    groups: int,
    tokenizer: Tokenizer,
) -> list[Trial]:
    """Six trials for each of up to ``groups`` groups of chapters; none of a book with too few usable ones.

    A suffix is the first ``suffix_tokens`` tokens of a chapter without its heading; the first and the last chapter and
    those below four times that length are left out. A prefix is the last ``prefix_tokens`` tokens before the heading,
    fewer where the book begins or the opening of another chapter of the group would be among them.
    """
    breaks = _breaks(book.text, headings)
    usable: list[tuple[_Break, Ids]] = []
    for chapter, after in pairwise(breaks[1:]):
        needed = _SUFFIXES_IN_A_CHAPTER * suffix_tokens
        end = min(after.heading, chapter.opening + needed * _CHARACTERS_OF_A_TOKEN)
        beginning = tokenizer.encode_array(book.text[chapter.opening : end])
        if len(beginning) >= needed:
            usable.append((chapter, beginning[:suffix_tokens]))
    number = min(groups, len(usable) // CHOICES)
    stride = len(usable) // CHOICES
    # Far apart within a group, so that prefixes may be long.
    return [
        trial
        for first in range(number)
        for trial in _group(book, usable[first : first + stride * CHOICES : stride], prefix_tokens, tokenizer)
    ]


def _group(
    book: BookText, members: Sequence[tuple[_Break, Ids]], prefix_tokens: int, tokenizer: Tokenizer
) -> list[Trial]:
    trials = []
    for place, (chapter, suffix) in enumerate(members):
        begin = max(0, chapter.heading - prefix_tokens * _CHARACTERS_OF_A_TOKEN)
        if place:
            above, opening = members[place - 1]
            begin = max(begin, above.opening + len(tokenizer.decode(opening.tolist())))
        before = book.text[begin : chapter.heading].rstrip("\n")
        # As the model meets it: a blank line is the last thing before the opening.
        prefix = tokenizer.encode_array(before + "\n\n")[-prefix_tokens:]
        others = [opening for other, (_, opening) in enumerate(members) if other != place]
        trials.append(Trial(book.book_id, prefix, (suffix, *others)))
    return trials


def choose_openings(losses: Sequence[Sequence[Losses]]) -> list[float]:
    """For each trial of a group 1 where its own opening gains most by the prefix, 1/k as one of k ties, else 0.

    losses: of the trials of one group, in order, each with those of its candidates.
    """
    costs = np.empty((CHOICES, CHOICES))
    for place, of_trial in enumerate(losses):
        openings = [place, *(other for other in range(CHOICES) if other != place)]
        costs[place, openings] = [float(candidate.sum()) for candidate in of_trial]
    against_mean = costs - costs.mean(axis=0)
    # Sums of the same numbers differ by rounding.
    best = against_mean <= against_mean.min(axis=1, keepdims=True) + _TIE * np.abs(costs).max()
    return (np.diag(best) / best.sum(axis=1)).tolist()


def shortened_trials(trials: Sequence[Trial], prefix_tokens: int) -> list[Trial]:
    """The same trials with the last ``prefix_tokens`` tokens of each prefix."""
    return [Trial(trial.book_id, trial.prefix[-prefix_tokens:], trial.candidates) for trial in trials]


def _breaks(text: str, headings: Sequence[Heading]) -> list[_Break]:
    """The headings that are in ``text``, in order; offsets of books that are used in part are found again."""
    found: list[_Break] = []
    position = 0
    paragraphs = _Paragraphs(text)
    for heading in headings:
        at = heading.offset
        if not text.startswith(heading.text, at):
            at = paragraphs.find(heading.text, position)
        if at is None or at < position:
            continue
        position = at + len(heading.text)
        visible = _VISIBLE.search(text, position)
        found.append(_Break(at, visible.start() if visible else len(text)))
    return found


class _Paragraphs:
    """The paragraphs of a text by what they say."""

    def __init__(self, text: str) -> None:
        self._text = text

    def find(self, heading: str, start: int) -> int | None:
        """Where the heading begins from ``start`` on: where its first paragraph stands next, if the others follow."""
        places = self._places.get(heading.split("\n\n", 1)[0], [])
        number = bisect_left(places, start)
        if number == len(places) or not self._text.startswith(heading, places[number]):
            return None
        return places[number]

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = defaultdict(list)
        offset = 0
        for paragraph in self._text.split("\n\n"):
            places[paragraph.rstrip("\n")].append(offset)
            offset += len(paragraph) + 2
        return places
