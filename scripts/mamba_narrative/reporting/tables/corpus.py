"""Tables of the corpus: what became of the raw books, and why books were left out. All from `corpus/books.tsv`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mamba_narrative.corpus.formats.decisions import USED_DECISIONS
from mamba_narrative.corpus.formats.split_table import SPLITS
from mamba_narrative.reporting.formatting import shortened
from mamba_narrative.reporting.reasons import meaning_of
from mamba_narrative.reporting.sources import number
from mamba_narrative.reporting.tables.table import Column, Schema, Table

Book = Mapping[str, str]
_EXAMPLES = 3
CORPUS = Schema(
    "corpus",
    "From raw books to the books that are trained and tested on.",
    (
        Column("step", "Step"),
        Column("meaning", "Books"),
        Column("books", "Number", "count"),
        Column("words", "Words", "count"),
        Column("characters", "Characters", "count"),
        Column("tokens", "Tokens", "count"),
    ),
)
SELECTION = Schema(
    "selection",
    "Decisions of the selection by reason: keep is narrative prose, partial a mixture of which the narrative parts are "
    "used. A book with several reasons counts under each.",
    (
        Column("decision", "Decision"),
        Column("reason", "Reason code"),
        Column("meaning", "In words"),
        Column("books", "Books", "count"),
        Column("words", "Words", "count"),
        Column("examples", "Examples"),
    ),
)
SPLITS_SCHEMA = Schema(
    "splits",
    "Whole books by split; editions and collections that share text are one cluster and stay together.",
    (
        Column("split", "Split"),
        Column("clusters", "Clusters", "count"),
        Column("books", "Books", "count"),
        Column("words", "Words", "count"),
        Column("characters", "Characters", "count"),
        Column("tokens", "Tokens", "count"),
        Column("share_of_words", "Share of words", "share"),
    ),
)


def selected(book: Book) -> bool:
    """True for books that are used: narrative prose, or mostly so."""
    return book["decision"] in USED_DECISIONS


def reasons_of(book: Book) -> list[str]:
    """The reason codes of a book; a dropped book without any has the code ``no_reason_given``."""
    codes = [code for code in book["reasons"].split(";") if code]
    return codes or (["no_reason_given"] if book["decision"] == "drop" else [])


def corpus_table(books: Sequence[Book]) -> Table:
    """From all raw books to those in a split, one row a step."""
    steps = (
        ("raw", "raw books found", list(books)),
        ("readable", "with text after stripping", [book for book in books if number(book["characters"])]),
        ("selected", "selected (keep or partial)", [book for book in books if selected(book)]),
        ("in_a_split", "in a split (without duplicates)", [book for book in books if book["split"]]),
    )
    rows = [{"step": step, "meaning": meaning, **_sizes(chosen)} for step, meaning, chosen in steps]
    for row in rows[:-1]:
        row["tokens"] = None  # books outside the splits are not tokenised, so the sum would be that of the last row
    return Table(CORPUS, tuple(rows))


def selection_table(books: Sequence[Book]) -> Table:
    """Decisions and their reasons, with examples. A book with several reasons counts under each."""
    groups: dict[tuple[str, str], list[Book]] = defaultdict(list)
    for book in books:
        for code in reasons_of(book) or [""]:
            groups[book["decision"], code].append(book)
    order = {"keep": 0, "partial": 1, "drop": 2}
    rows = [
        {
            "decision": decision,
            "reason": code,
            "meaning": meaning_of(code),
            **_sizes(chosen),
            "examples": examples(chosen) if code else "",
        }
        for (decision, code), chosen in sorted(
            groups.items(), key=lambda group: (order.get(group[0][0], 3), -len(group[1]), group[0])
        )
    ]
    return Table(SELECTION, tuple(rows))


def splits_table(books: Sequence[Book]) -> Table:
    """Training, validation and test books, and the selected books that are in no split."""
    groups: dict[str, list[Book]] = {split: [] for split in SPLITS}
    for book in books:
        if selected(book):
            groups.setdefault(book["split"] or f"none ({book['role'] or 'unknown role'})", []).append(book)
    total = sum(_sizes(groups[split])["words"] for split in SPLITS)
    rows = []
    for split, chosen in groups.items():
        sizes = _sizes(chosen)
        clusters = len({book["cluster"] or book["book_id"] for book in chosen})
        share = sizes["words"] / total if total and split in SPLITS else None
        rows.append({"split": split, "clusters": clusters, **sizes, "share_of_words": share})
    return Table(SPLITS_SCHEMA, tuple(rows))


def examples(books: Sequence[Book]) -> str:
    """The first few books as text: id and title."""
    named = [
        f"{book['book_id']} ({shortened(book['title'], 60)})" if book["title"] else book["book_id"]
        for book in books[:_EXAMPLES]
    ]
    return "; ".join(named)


def _sizes(books: Iterable[Book]) -> dict[str, int]:
    sizes: dict[str, int] = {"books": 0, "words": 0, "characters": 0, "tokens": 0}
    for book in books:
        sizes["books"] += 1
        for key in ("words", "characters", "tokens"):
            sizes[key] += round(number(book[key]) or 0)
    return sizes
