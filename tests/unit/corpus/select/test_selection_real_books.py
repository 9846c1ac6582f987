"""What must hold on real books: decisions, duplicate pairs, ids of tokens."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bench_duplicates import compare
from benchmarks.bench_selection import decide, right
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.strip.stripping import strip_book
from mamba_narrative.tokens.tokenizer import Gpt2Tokenizer, load_tokenizer
from real_books import needs_real_books, read_books

pytestmark = [pytest.mark.slow, needs_real_books]


def test_the_selection_is_right_on_the_raw_books_with_and_without_the_catalogue():
    judged = [book for book in decide("raw") if book["label"] != "mixed"]
    assert len(judged) > 240
    for labelled_by in ({"given"}, {"given", "own"}):
        books = [book for book in judged if book["labelled_by"] in labelled_by]
        for catalogue, least in (("without", 0.97), ("with", 0.99)):
            wrong = [book["book_id"] for book in books if not right(book, catalogue)]
            assert len(wrong) <= (1 - least) * len(books), (catalogue, wrong)


def test_all_pairs_that_share_text_are_found_and_no_others():
    settings = DuplicatesSettings()
    result = compare("raw", settings)
    assert sum(share >= 0.5 for share in result.truth.values()) >= 15
    assert result.missed(0.5) == []
    assert result.missed(2 * settings.cluster_containment) == []
    assert result.false(settings.cluster_containment) == []


def test_ids_are_those_of_tiktoken_with_the_published_pattern_on_every_book():
    import tiktoken

    ours = load_tokenizer("gpt2")
    assert isinstance(ours, Gpt2Tokenizer)
    # Radford et al. 2019, encoder.py; the whole book in one piece.
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    ranks = ours._encoding._mergeable_ranks
    published = tiktoken.Encoding("published", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    for source in ("raw", "packed"):
        for book_id, raw in read_books(source):
            text = strip_book(raw, StrippingSettings()).text
            ids = published.encode_ordinary(text)
            assert np.array_equal(ours.encode_array(text), ids), book_id
            assert np.array_equal(ours.encode_with_tiktoken(text), ids), book_id
