"""Statistics of one continuation: repetition of its tokens, and the sentences and speech of its text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_PARAGRAPH_END = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(
    r"(?<![.!?…])(?P<marks>[.!?…]++)[\"'”’»)\]_]*+"
    # Before a capital, a digit, or nothing. `"Where?" he said.` is one sentence.
    r"(?=\s++[^\w\s]*+[^\W_a-z]|\s*+\Z)"
)
_TITLE_OR_INITIAL = re.compile(
    r"(?<![^\W_])(?:Mr|Mrs|Ms|Messrs|Dr|St|Rev|Prof|Capt|Col|Gen|Lieut|Lt|Sergt|Sgt|Maj|Hon|[A-HJ-Z])\Z"
)
_LONGEST_TITLE = 8
"""Characters, and one before them."""
_LOOP_REPEATS = 3
_LOOP_MIN_PHRASE = 2


def distinct_fraction(ids: Sequence[int], n: int) -> float:
    """Distinct n-grams / n-grams of ``ids``; 1 where there are none."""
    grams = [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def zipf_slope(text: str) -> float | None:
    """Slope of the least-squares line of ln frequency on ln rank of the words of ``text``, small letters and large
    alike; None with fewer than two different words.
    """
    counts = sorted(Counter(word.lower() for word in _WORD.findall(text)).values(), reverse=True)
    if len(counts) < 2:
        return None
    ranks, frequencies = np.log(np.arange(1, len(counts) + 1)), np.log(counts)
    away = ranks - ranks.mean()
    return float(away @ frequencies / (away @ away))


def ends_in_loop(ids: Sequence[int]) -> bool:
    """Whether ``ids`` end in a phrase of at least two tokens three times in a row."""
    same = _common_beginnings(list(ids)[::-1])
    return any(
        same[phrase] >= (_LOOP_REPEATS - 1) * phrase
        for phrase in range(_LOOP_MIN_PHRASE, len(ids) // _LOOP_REPEATS + 1)
    )


def _common_beginnings(ids: Sequence[int]) -> list[int]:
    """How many ids from each place on are those that ``ids`` begin with (Gusfield 1997, algorithm Z)."""
    same = [len(ids)] * len(ids)
    left = right = 0
    for place in range(1, len(ids)):
        known = min(same[place - left], right - place) if place < right else 0
        while place + known < len(ids) and ids[known] == ids[place + known]:
            known += 1
        same[place] = known
        if place + known > right:
            left, right = place, place + known
    return same


def count_sentence_ends(text: str) -> int:
    """Sentences that end in ``text``: at '.', '!', '?' or '…' before a capital, a digit or the end of a paragraph,
    except after titles and initials; and at a paragraph's end. The end of the text itself is none.
    """
    *whole, rest = _PARAGRAPH_END.split(text)
    ends = sum(1 for _ in _marked_ends(rest))
    for paragraph in whole:
        stripped = paragraph.strip()
        if stripped:
            marked = list(_marked_ends(stripped))
            ends += len(marked) + (not marked or marked[-1] != len(stripped))
    return ends


def split_sentences(paragraph: str) -> list[str]:
    """The sentences of one paragraph, without the white space between them; the last one may have no mark."""
    bounds = [0, *_marked_ends(paragraph), len(paragraph)]
    pieces = [paragraph[start:end].strip() for start, end in pairwise(bounds)]
    return [piece for piece in pieces if piece]


def count_quoted_characters(before: str, text: str) -> int:
    """Characters of ``text`` inside double quotation marks, marks included; ``before`` is the text it continues.

    Straight marks open and close by turns. The end of a paragraph closes a quotation.
    """
    inside = False
    for character in _PARAGRAPH_END.split(before)[-1]:
        inside = _is_inside_after(character, inside)
    quoted = 0
    for number, paragraph in enumerate(_PARAGRAPH_END.split(text)):
        inside = inside and number == 0
        for character in paragraph:
            was_inside, inside = inside, _is_inside_after(character, inside)
            quoted += was_inside or inside
    return quoted


def _marked_ends(paragraph: str) -> list[int]:
    """Offsets after the sentences of a paragraph that end in a mark."""
    return [
        match.end()
        for match in _SENTENCE_END.finditer(paragraph)
        if match["marks"] != "."
        or not _TITLE_OR_INITIAL.search(paragraph, max(0, match.start() - _LONGEST_TITLE), match.start())
    ]


def _is_inside_after(character: str, inside: bool) -> bool:
    if character == '"':
        return not inside
    if character in "“«„":
        return True
    return inside and character not in "”»"
