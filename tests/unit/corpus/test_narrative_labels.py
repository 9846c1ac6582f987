"""The decision on real books that were judged by reading."""

from __future__ import annotations

import pytest

from benchmarks.bench_selection import decide, right
from real_books import needs_real_books


@pytest.mark.slow
@needs_real_books
def test_the_selection_is_right_on_the_raw_books_with_and_without_the_catalogue():
    judged = [book for book in decide("raw") if book["label"] != "mixed"]
    assert len(judged) > 240
    for labelled_by in ({"given"}, {"given", "own"}):
        books = [book for book in judged if book["labelled_by"] in labelled_by]
        for catalogue, least in (("without", 0.97), ("with", 0.99)):
            wrong = [book["book_id"] for book in books if not right(book, catalogue)]
            assert len(wrong) <= (1 - least) * len(books), (catalogue, wrong)
