"""Text that books share: between splits as measured by `split_books`, and pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mamba_narrative.corpus.formats.move_table import read_moves
from mamba_narrative.corpus.formats.pair_table import read_pairs
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
class SharedText:
    """Two books as text, and what they share: shingles (word sequences), and the part of the smaller book."""

    book_a: str
    book_b: str
    shared: str
    containment: str


@dataclass(frozen=True)
class Pairs:
    """The pairs with the largest overlap, and a sentence about all of them."""

    shown: tuple[SharedText, ...]
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
    rows = read_pairs(path)
    titles = book_titles(results)
    ranked = sorted(rows, key=lambda row: -(number(row["containment"]) or 0))
    shown = tuple(
        SharedText(
            _named(row["book_a"], titles),
            _named(row["book_b"], titles),
            count(number(row["shared"])),
            percent(number(row["containment"])),
        )
        for row in ranked[:_PAIRS_SHOWN]
    )
    more = f"; those {len(shown)} with the largest overlap are shown" if len(rows) > len(shown) else ""
    return Pairs(shown, f"{plural(len(rows), 'pair')} of books with common text{more}.")


@dataclass(frozen=True)
class LeakRow:
    """A held-out book, what part of its runs of words training books have, and an example, as text."""

    split: str
    book: str
    rate: str
    source: str
    example: str


@dataclass(frozen=True)
class LeakTest:
    """Sentences about all held-out books, and those that share most."""

    sentences: tuple[str, ...]
    rows: tuple[LeakRow, ...]


def leak_test(results: Path) -> LeakTest | None:
    """What `splits/leaks.json` says of held-out text in training books; None where there is no such file."""
    summary = optional_json(results / "splits" / "leaks.json")
    if summary is None:
        return None
    titles = book_titles(results)
    words = summary["run_words"]
    sentences = [
        f"{split.capitalize()}: {percent(total['rate'], 3)} of all runs of {words} words occur in training books "
        f"({count(total['books_with_shared_runs'])} of {plural(total['books'], 'book')} share any); "
        f"at most {percent(total['max_rate'], 2)} of one book."
        for split, total in summary["splits"].items()
    ]
    sentences.append(f"A book above {percent(summary['max_shared_13gram_rate'], 2)} would have stopped the run.")
    if summary["compared_fraction"] < 1:
        sentences.append(f"Estimated from {percent(summary['compared_fraction'], 1)} of the runs.")
    rows = tuple(
        LeakRow(
            entry["split"],
            _named(entry["book_id"], titles),
            percent(entry["rate"], 3),
            _named(entry["largest_source"], titles),
            f"{entry['example']} … (at character {count(entry['example_offset'])}, {entry['example_words']} words)",
        )
        for entry in summary["worst"]
    )
    return LeakTest(tuple(sentences), rows)


def moved_books(results: Path) -> str:
    """A sentence about the books of `splits/moves.tsv`; empty where none has moved."""
    moves = read_moves(results / "splits" / "moves.tsv")
    if not moves:
        return ""
    listed = ", ".join(f"{move['book_id']} from {move['from']} to {move['to'] or 'none'}" for move in moves[:5])
    more = " and more" if len(moves) > len(moves[:5]) else ""
    return f"Since the splits made before, {plural(len(moves), 'book')} moved: {listed}{more} (splits/moves.tsv)."


def _named(book_id: str, titles: Mapping[str, str]) -> str:
    title = titles.get(book_id)
    return f"{book_id} ({shortened(title, 60)})" if title else book_id
