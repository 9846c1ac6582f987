"""What the used books are like: how long, by whom, of which time, in how large clusters. From `corpus/books.tsv`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from mamba_narrative.reporting.sources import number
from mamba_narrative.reporting.tables.table import Column, Schema, Table

COMPOSITION = Schema(
    "composition",
    "The books in a split by length, by their first author's decade of birth (catalogues name no year of publication), "
    "by author (those with most words), and the clusters by size.",
    (
        Column("what", "By"),
        Column("group", "Group"),
        Column("books", "Books", "count"),
        Column("words", "Words", "count"),
        Column("share_of_words", "Share of words", "share"),
    ),
)
_LENGTHS = (5_000, 20_000, 50_000, 100_000, 200_000)
_CLUSTER_SIZES = (1, 2, 3, 10)
_MOST_AUTHORS = 12
_BORN = re.compile(r"\b(1[0-9]{3})\??-")

Book = Mapping[str, str]


def composition_table(books: Sequence[Book]) -> Table:
    """Four groupings of the books that are in a split, each adding up to all of them but for the authors not shown."""
    used = [book for book in books if book["split"]]
    sizes = Counter(book["cluster"] for book in books if book["cluster"])
    authors: Counter[str] = Counter()
    for book in used:
        authors[_author(book)] += _words(book)
    shown = {author for author, _ in authors.most_common(_MOST_AUTHORS)}
    length_names = _names(_LENGTHS, "words")
    size_names = _names(_CLUSTER_SIZES, "books")
    groupings: tuple[tuple[str, Callable[[Book], str], Sequence[str]], ...] = (
        ("length", lambda book: _class_of(_words(book), _LENGTHS, length_names), length_names),
        ("author born", _decade, ()),
        (
            "author",
            lambda book: _author(book) if _author(book) in shown else _others(len(authors) - len(shown)),
            [author for author, _ in authors.most_common(_MOST_AUTHORS)],
        ),
        (
            "size of the cluster, with duplicates",
            lambda book: _class_of(sizes[book["cluster"]], _CLUSTER_SIZES, size_names),
            size_names,
        ),
    )
    rows = []
    for what, group_of, order in groupings:
        rows += _grouped(used, what, group_of, order)
    return Table(COMPOSITION, tuple(rows))


def _grouped(used: Sequence[Book], what: str, group_of: Callable[[Book], str], order: Sequence[str]) -> list[dict]:
    books: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for book in used:
        group = group_of(book)
        books[group] += 1
        words[group] += _words(book)
    total = max(words.total(), 1)
    names = [*(name for name in order if name in books), *sorted(set(books) - set(order))]
    return [
        {"what": what, "group": name, "books": books[name], "words": words[name], "share_of_words": words[name] / total}
        for name in names
    ]


def _names(limits: Sequence[int], unit: str) -> list[str]:
    """Names of the classes up to each limit, and above the last."""
    lows = [1, *(limit + 1 for limit in limits[:-1])]
    names = [
        f"{low:,} to {limit:,} {unit}" if low < limit else f"{limit:,} {unit.removesuffix('s') if limit == 1 else unit}"
        for low, limit in zip(lows, limits, strict=True)
    ]
    return [*names, f"more than {limits[-1]:,} {unit}"]


def _class_of(value: int, limits: Sequence[int], names: Sequence[str]) -> str:
    return next((name for limit, name in zip(limits, names, strict=False) if value <= limit), names[-1])


def _words(book: Book) -> int:
    return round(number(book["words"]) or 0)


def _author(book: Book) -> str:
    return (book.get("author") or "").split(";")[0].strip() or "unknown"


def _decade(book: Book) -> str:
    match = _BORN.search(_author(book))
    return f"{match[1][:3]}0s" if match else "unknown"


def _others(authors: int) -> str:
    return f"{authors:,} others"
