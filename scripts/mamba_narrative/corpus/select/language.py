"""The language of a book: what catalogue and header declare, and what samples of the text say."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from mamba_narrative.word_lists import words_beside

SAMPLES = 9
"""Stretches of a text that are looked at: odd, so that two languages are no tie, and few, since each takes time."""
SAMPLE_CHARACTERS = 600
"""A hundred words, of which the classifier is sure."""
_CODES: dict[str, str] = dict(line.split() for line in words_beside(__file__, "languages"))


@dataclass(frozen=True)
class DetectedLanguage:
    """The commonest language of the samples; ``share`` is the part of the samples that is in it."""

    language: str
    share: float
    samples: int


def codes_of_header(field: str | None) -> tuple[str, ...]:
    """ISO 639-1 codes of a header's language field such as ``English, French``; unknown names are left out."""
    names = re.split(r"[^\w]+", (field or "").lower())
    return tuple(dict.fromkeys(code for name in names if (code := _CODES.get(name))))


def detect_language(text: str) -> DetectedLanguage | None:
    """The language of samples spread evenly over ``text``; None for a text without 20 letters in any of them."""
    from py3langid import classify  # here, because its model takes more than a second to load

    languages: Counter[str] = Counter()
    for sample in sample_text(text):
        if sum(map(str.isalpha, sample)) >= 20:
            languages[classify(sample)[0]] += 1
    if not languages:
        return None
    language, number = min(languages.items(), key=lambda item: (-item[1], item[0]))
    return DetectedLanguage(language, number / languages.total(), languages.total())


def sample_text(text: str) -> list[str]:
    """Up to ``SAMPLES`` stretches of ``SAMPLE_CHARACTERS`` characters, spread evenly; a short text is one sample."""
    number = max(1, min(SAMPLES, len(text) // SAMPLE_CHARACTERS))
    step = len(text) / number
    return [text[int(part * step) : int(part * step) + SAMPLE_CHARACTERS] for part in range(number)]
