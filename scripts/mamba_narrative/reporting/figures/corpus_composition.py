"""What the corpus is made of: books and words by decision, by reason for leaving out, and by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from mamba_narrative.corpus.formats.book_table import BOOK_TABLE, read_books
from mamba_narrative.corpus.formats.decisions import USED_DECISIONS
from mamba_narrative.reporting.formatting import count, shortened
from mamba_narrative.reporting.reasons import explain_reason
from mamba_narrative.reporting.sources import number
from mamba_narrative.reporting.style import BASELINE_COLOUR, PALETTE, WIDTH_INCHES

INPUTS = (BOOK_TABLE,)
"""Files below the results folder that this figure reads."""

_MOST_REASONS = 12
_USED, _LEFT_OUT = PALETTE[0], BASELINE_COLOUR
_DECISIONS = {"keep": "narrative prose", "partial": "narrative in part", "drop": "left out"}
_PLACES = {"train": "training", "validation": "validation", "test": "test"}

Bar = tuple[str, str, float, float]
"""Label, colour, books, words."""


def draw(results: Path, runs: Sequence[str]) -> Figure:
    """Three groups of horizontal bars, books on the left and words on the right; ``runs`` play no part."""
    books = read_books(results / BOOK_TABLE)
    groups = [
        ("All raw books by decision", decision_bars(books)),
        ("Books left out, by reason", reason_bars(books)),
        ("Selected books by split", split_bars(books)),
    ]
    groups = [(title, bars) for title, bars in groups if bars]
    heights = [len(bars) + 1.6 for _, bars in groups]
    figure = Figure(figsize=(WIDTH_INCHES, 0.27 * sum(heights) + 0.5), layout="constrained")
    grid = figure.subplots(len(groups), 2, sharey="row", squeeze=False, height_ratios=heights)
    figure.get_layout_engine().set(wspace=0.06, hspace=0.06)  # type: ignore[union-attr]
    for (left, right), (title, bars) in zip(grid, groups, strict=True):
        _draw_bars(left, bars, 2)
        _draw_bars(right, bars, 3)
        left.set_title(title, fontsize=9.5, x=-0.01)
        left.set_yticks(range(len(bars)), [label for label, *_ in bars])
        left.invert_yaxis()
        left.tick_params(axis="y", length=0)
        right.tick_params(axis="y", length=0, labelleft=False)
    grid[-1][0].set_xlabel("Books (number)")
    grid[-1][1].set_xlabel("Words (number)")
    return figure


def decision_bars(books: Sequence[Mapping[str, str]]) -> list[Bar]:
    """Every raw book once, by decision."""
    groups = _grouped((book["decision"], book) for book in books)
    order = [*_DECISIONS, *sorted(set(groups) - set(_DECISIONS))]
    return [
        (_DECISIONS.get(decision, decision), _LEFT_OUT if decision == "drop" else _USED, *groups[decision])
        for decision in order
        if decision in groups
    ]


def reason_bars(books: Sequence[Mapping[str, str]]) -> list[Bar]:
    """Books left out, by reason, most frequent first; a book with several reasons counts under each."""
    groups = _grouped((code, book) for book in books for code in _reasons(book))
    ranked = sorted(groups.items(), key=lambda group: (-group[1][0], group[0]))
    bars = [(shortened(explain_reason(code), 44), _LEFT_OUT, *sizes) for code, sizes in ranked[:_MOST_REASONS]]
    if rest := ranked[_MOST_REASONS:]:
        totals = (sum(sizes[0] for _, sizes in rest), sum(sizes[1] for _, sizes in rest))
        bars.append((f"{len(rest)} other reasons", _LEFT_OUT, *totals))
    return bars


def split_bars(books: Sequence[Mapping[str, str]]) -> list[Bar]:
    """Selected books by split, then those in none: duplicates, and others if there are any."""
    chosen = [book for book in books if book["decision"] in USED_DECISIONS]
    groups = _grouped((book["split"] or f"no split: {book['role'] or 'unknown role'}", book) for book in chosen)
    order = [*_PLACES, *sorted(set(groups) - set(_PLACES))]
    return [
        (_PLACES.get(place, place), _USED if place in _PLACES else _LEFT_OUT, *groups[place])
        for place in order
        if place in groups
    ]


def _reasons(book: Mapping[str, str]) -> list[str]:
    """Why a book was left out; remarks on books that are used are none."""
    return [code for code in book["reasons"].split(";") if code] if book["decision"] == "drop" else []


def _grouped(pairs: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, tuple[float, float]]:
    """Books and words of each group."""
    books: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for name, book in pairs:
        books[name] += 1
        words[name] += round(number(book["words"]) or 0)
    return {name: (books[name], words[name]) for name in books}


def _draw_bars(axes: Axes, bars: Sequence[Bar], value: int) -> None:
    sizes = [float(bar[value]) for bar in bars]
    drawn = axes.barh(range(len(bars)), sizes, height=0.66, color=[bar[1] for bar in bars])
    axes.bar_label(drawn, labels=[count(size) for size in sizes], padding=3, fontsize=8)
    axes.set_xlim(0, max(*sizes, 1) * 1.28)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
