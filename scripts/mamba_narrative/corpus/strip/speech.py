"""Reported speech, the surest sign of a story: the second opinion of rules that would remove a large stretch."""

from __future__ import annotations

import re

_SPEECH = re.compile(
    r"[,!?.—-]['\"”’] ?(?:said|asked|replied|cried|answered|exclaimed|returned)\b|"
    r"[,!?.—-]['\"”’] (?:he|she|I|they|[A-Z]\w+) (?:said|asked|replied|cried|answered|exclaimed|whispered|muttered)\b"
)
_CHARACTERS_A_TAG = 3_000
"""For each time that somebody is said to speak: stories say so several times as often, an index never."""
_MIN_TAGS = 3
"""Advertisements quote a line or two of a story."""


def has_speech(text: str) -> bool:
    """Whether somebody says something in ``text`` (``"Yes," said the miller``)."""
    return _SPEECH.search(text) is not None


def reads_like_a_story(text: str) -> bool:
    """Whether so much is said in ``text`` that it is no index, advertisement or note."""
    tags = len(_SPEECH.findall(text))
    return tags >= _MIN_TAGS and tags * _CHARACTERS_A_TAG > len(text)
