"""How good a stripped text is, measured on the text alone, so that every stripper can be measured alike.

Truth: ``tests/data/narrative_boundaries.tsv`` says between which bytes of a raw file the narrative stands (marked by
hand; several rows where something else stands between two parts). The books lie in ``../shared/gutenberg/raw``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from mamba_narrative.io import read_table

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_BOOKS = REPOSITORY.parent / "shared" / "gutenberg" / "raw"
BOUNDARIES = REPOSITORY / "tests" / "data" / "narrative_boundaries.tsv"

# What stands inside a narrative and is none: illustrations, notes, page numbers.
_INSIDE = re.compile(
    r"^[ \t]*(?:\[(?:\w{1,3}|\*{1,3})\]|\*|†)\s*\S[^\n]*(?:\n[^\n]+)*|^[ \t]*\d{1,4}\)?[ \t]*$"
    r"|\[(?:illustration|picture|footnote|sidenote|transcriber)[^\]]*\]"
    r"|\[(?:pg|page)[ .]*\w{1,4}\]|\[(?:\d{1,4}|[A-Z])\]|\{\d{1,4}\}",
    re.IGNORECASE | re.MULTILINE,
)
_MARKUP = re.compile(r"</?[a-z]{1,6}>|&[a-z]{2,8};")
_MIN_LETTERS = 20
_ANYWHERE = re.compile(
    r"project gutenberg|\be-?text\b|\be-?book\b|\bpgdp\b|transcriber['’]?s['’]? notes?\b|small print!|https?:|www\.|"
    r"gutenberg\.(?:org|net)|\.zip\b|\w@\w+\.(?:com|net|org|edu)\b|\biso-8859|\butf-8\b|distributed proof|"
    r"public-domain",
    re.IGNORECASE,
)
_AT_THE_EDGES = re.compile(
    r"\btranscri(?:bed (?:by|from)|ption)|\bscann(?:ed|ing) (?:by|and|from)|small print|\bproofread|"
    r"^produced by\b|\btypos?\b|"
    r"tax[- ]deductible|\binternet\b|\bascii\b|\bunicode\b|\b(?:typographical|printer.?s) errors?|\bunderscore|"
    r"\bitalics? |"
    r"\b(?:spelling|punctuation|hyphenation)\b.{0,60}\b(?:retained|corrected|preserved|changed)|"
    r"\belectronic (?:text|edition)|"
    r"\bdigiti[sz]ed|\bligatures?\b|\bvolunteers? (?:at|of)\b|\bpublic domain\b|\bscans? (?:of|from|by)\b|"
    r"\bfirst page of ads",
    re.IGNORECASE | re.MULTILINE,
)
_EDGE = 2_500


@dataclass(frozen=True)
class MarkedBook:
    """A raw book and its true narrative."""

    book_id: str
    raw: bytes
    narrative: str


def marked_books() -> list[MarkedBook]:
    """The marked books that lie in ``REAL_BOOKS``; a file that is not the one which was marked is left out."""
    ranges: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in read_table(BOUNDARIES, ("book_id", "sha256", "start_byte", "end_byte")):
        ranges.setdefault((row["book_id"], row["sha256"]), []).append((int(row["start_byte"]), int(row["end_byte"])))
    books = []
    for (book_id, digest), stretches in ranges.items():
        path = REAL_BOOKS / f"{book_id}.txt"
        if path.is_file() and hashlib.sha256(raw := path.read_bytes()).hexdigest() == digest:
            narrative = "\n\n".join(decoded(raw[start:end]) for start, end in stretches)
            books.append(MarkedBook(book_id, raw, narrative.replace("\r\n", "\n")))
    return books


def decoded(raw: bytes) -> str:
    """UTF-8 where the bytes are valid UTF-8, else CP1252: all that the marked books need."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def lost_fraction(narrative: str, stripped: str) -> float:
    """Share of the letters of ``narrative`` whose lines are not in ``stripped``, wherever line ends and signs are.

    Short lines (fewer than 20 letters) and what is known to be no narrative are not counted.
    """
    haystack = _letters(_MARKUP.sub("", stripped))
    total = lost = position = 0
    for line in _MARKUP.sub("", _INSIDE.sub("", narrative)).split("\n"):
        needle = _letters(line)
        if len(needle) < _MIN_LETTERS:
            continue
        total += len(needle)
        found = haystack.find(needle, position)
        if found < 0:
            found = haystack.find(needle)
        if found < 0:
            lost += len(needle)
        else:
            position = found
    return lost / max(total, 1)


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))


def residue_of(stripped: str) -> list[str]:
    """What is left of licence, credits and transcribers' notes, with the words around it."""
    edge = max(_EDGE, len(stripped) // 100)
    hits = list(_ANYWHERE.finditer(stripped))
    hits += _AT_THE_EDGES.finditer(stripped, 0, min(edge, len(stripped)))
    hits += _AT_THE_EDGES.finditer(stripped, max(edge, len(stripped) - edge))
    return [" ".join(stripped[max(0, hit.start() - 40) : hit.end() + 40].split()) for hit in hits]
