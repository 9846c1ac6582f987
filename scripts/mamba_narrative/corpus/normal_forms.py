"""Unicode normal forms in time that grows with the text alone.

``unicodedata.normalize`` orders the combining marks behind a letter by insertion, which takes the square of their
number, and nothing interrupts it. A longer run than any script has is therefore put in order beforehand.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import Literal

_MAX_MARKS = 30
"""Combining marks in a row in the Stream-Safe Text Format (Unicode Standard Annex 15); words have fewer."""
_MAYBE_RUN = re.compile(rf"[\u0300-\U0010ffff]{{{_MAX_MARKS + 1}}}")


def normalise(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """``unicodedata.normalize(form, text)``, also for text with thousands of combining marks in a row."""
    if _MAYBE_RUN.search(text):
        decomposed: Literal["NFD", "NFKD"] = "NFKD" if "K" in form else "NFD"
        text = _runs_of_marks(decomposed).sub(lambda run: _in_order(run[0], decomposed), text)
    return text if unicodedata.is_normalized(form, text) else unicodedata.normalize(form, text)


def _in_order(marks: str, form: Literal["NFD", "NFKD"]) -> str:
    """The run in canonical order: by combining class, marks of one class as they were."""
    return "".join(sorted("".join(unicodedata.normalize(form, mark) for mark in marks), key=unicodedata.combining))


@cache
def _runs_of_marks(form: Literal["NFD", "NFKD"]) -> re.Pattern[str]:
    """Long runs of the characters that decompose to nothing but combining marks."""
    marks = [
        chr(code)
        for code in range(0x300, sys.maxunicode + 1)
        if all(map(unicodedata.combining, unicodedata.normalize(form, chr(code))))
    ]
    return re.compile(f"[{''.join(map(re.escape, marks))}]{{{_MAX_MARKS + 1},}}")
