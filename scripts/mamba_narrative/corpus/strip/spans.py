"""Stretches of a text that a rule removes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """Characters ``start`` (inclusive) to ``end`` (exclusive) of a text, removed by ``rule``."""

    start: int
    end: int
    rule: str


def without_overlaps(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, each cut to what no earlier one covers; empty ones are left out."""
    disjoint: list[Span] = []
    position = 0
    for span in sorted(spans):
        start = max(span.start, position)
        if start < span.end:
            disjoint.append(Span(start, span.end, span.rule))
            position = span.end
    return disjoint


def mask(text: str, spans: Iterable[Span]) -> str:
    """``text`` with the spans blanked out: every offset stays what it was, and so do the line ends."""
    pieces: list[str] = []
    position = 0
    for span in without_overlaps(spans):
        pieces.append(text[position : span.start])
        pieces.append("\n".join(" " * len(line) for line in text[span.start : span.end].split("\n")))
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)
