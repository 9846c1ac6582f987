"""Text that books share: between splits as measured by `split_books`, and pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mamba_narrative.io import read_table
from mamba_narrative.reporting.formatting import count, percent, plural, shortened
from mamba_narrative.reporting.sources import book_titles, number, optional_json

_PAIRS_SHOWN = 10


@dataclass(frozen=True)
class OverlapRow:
    """How much of the books of one split occurs in another one, as text."""

    splits: str
    books: str
    mean: str
    largest: str
    largest_book: str


@dataclass(frozen=True)
class SplitOverlap:
    """Measured overlap of the splits, and sentences about clusters that were moved to fill an empty split."""

    rows: tuple[OverlapRow, ...]
    repairs: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """Two books as text, and what they share: shingles (word sequences), and the part of the smaller book."""

    book_a: str
    book_b: str
    shared: str
    containment: str


@dataclass(frozen=True)
class Pairs:
    """The pairs with the largest overlap, and a sentence about all of them."""

    shown: tuple[Pair, ...]
    sentence: str


def overlap_between_splits(results: Path) -> SplitOverlap | None:
    """What `splits/summary.json` says of overlap and repairs; None where there is no such file."""
    summary = optional_json(results / "splits" / "summary.json")
    if summary is None:
        return None
    titles = book_titles(results)
    rows = tuple(
        OverlapRow(
            f"{entry['split']} in {entry['other']}",
            count(entry["books"]),
            percent(entry["mean_containment"], 2),
            percent(entry["max_containment"], 2),
            _named(next(iter(entry["largest"]), ""), titles),
        )
        for entry in summary.get("overlap") or ()
    )
    repairs = tuple(
        f"The {move['to']} split came out empty, so cluster {move['cluster']} was moved there from {move['from']}: "
        "with so few books the shares are far from those asked for."
        for move in summary.get("repaired") or ()
    )
    return SplitOverlap(rows, repairs)


def duplicate_pairs(results: Path) -> Pairs | None:
    """The pairs of `corpus/duplicates.tsv` with the largest containment; None where there is no such file."""
    path = results / "corpus" / "duplicates.tsv"
    if not path.is_file():
        return None
    rows = read_table(path, ("book_a", "book_b", "shared", "containment"))
    titles = book_titles(results)
    ranked = sorted(rows, key=lambda row: -(number(row["containment"]) or 0))
    shown = tuple(
        Pair(
            _named(row["book_a"], titles),
            _named(row["book_b"], titles),
            count(number(row["shared"])),
            percent(number(row["containment"])),
        )
        for row in ranked[:_PAIRS_SHOWN]
    )
    more = f"; those {len(shown)} with the largest overlap are shown" if len(rows) > len(shown) else ""
    return Pairs(shown, f"{plural(len(rows), 'pair')} of books with common text{more}.")


def _named(book_id: str, titles: Mapping[str, str]) -> str:
    title = titles.get(book_id)
    return f"{book_id} ({shortened(title, 60)})" if title else book_id
