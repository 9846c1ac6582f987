"""How often the selection is right on books judged by reading, with and without the catalogue.

python tests/benchmarks/bench_selection.py [--source raw packed]

The labels are tests/data/narrative_labels.tsv; `mixed` books are counted apart. The measures and their thresholds
were chosen on the packed books, so the row of the raw ones is the one that says what to expect of others.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.catalogue import read_catalogue
from mamba_narrative.corpus.select.selection import select_book
from mamba_narrative.corpus.strip.stripping import strip_book
from mamba_narrative.io import sha256_bytes
from real_books import CATALOGUES, narrative_labels, read_books


def decide(source: str) -> list[dict[str, Any]]:
    """One entry a labelled book: its label, whether the catalogue lists it, and its rows with and without it."""
    catalogue, labels = read_catalogue(CATALOGUES[source]), narrative_labels()
    decisions = []
    for book_id, raw in read_books(source):
        label = labels.get(book_id)
        if label is None or label["sha256"] != sha256_bytes(raw):
            continue
        book = strip_book(raw, StrippingSettings())
        record = {"book_id": book_id, "header": asdict(book.header)}
        headings = [chapter.offset for chapter in book.chapters]
        rows = [
            select_book(record, book.text, entry, SelectionSettings(), headings)
            for entry in (catalogue.get(book_id), None)
        ]
        decisions.append({**label, "listed": book_id in catalogue, "with": rows[0], "without": rows[1]})
    return decisions


def right(book: dict[str, Any], catalogue: str) -> bool:
    """Whether a book labelled yes or no was kept or dropped as it should be."""
    return (book[catalogue]["decision"] != "drop") == (book["label"] == "yes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", nargs="+", choices=("raw", "packed"), default=["raw", "packed"])
    for source in parser.parse_args().source:
        books = decide(source)
        for catalogue, chosen in (("with", [book for book in books if book["listed"]]), ("without", books)):
            for given in (True, False) if source == "raw" else (False,):
                judged = [
                    book
                    for book in chosen
                    if book["label"] != "mixed" and (book["labelled_by"] == "given" or not given)
                ]
                wrong = [book for book in judged if not right(book, catalogue)]
                which = "given labels" if given else "all labels"
                share = 1 - len(wrong) / max(len(judged), 1)
                print(f"{source} books, {catalogue} catalogue, {which}: {len(judged)} books, {share:.2%} right")
                for book in wrong:
                    print(f"    {book['book_id']} {book['label']} ({book['form']}): {book[catalogue]['reasons']}")
            mixed = Counter(book[catalogue]["decision"] for book in chosen if book["label"] == "mixed")
            print(f"    mixed books: {dict(mixed)}")


if __name__ == "__main__":
    main()
