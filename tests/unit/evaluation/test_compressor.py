from __future__ import annotations

import lzma

import numpy as np

from mamba_narrative.evaluation.compressor import bits_after, compressed_bits, training_text
from mamba_narrative.evaluation.held_out import open_tokens


def test_text_that_was_seen_before_costs_almost_nothing():
    text = np.random.default_rng(1).bytes(5_000)
    (alone,), (after,) = bits_after(b"", [text]), bits_after(text, [text])
    assert 8 * 5_000 <= alone < 8 * 5_100
    assert after < 8 * 100


def test_sizes_are_those_of_xz_without_its_container():
    text = b"The lamp was lit. " * 400
    assert 0 <= len(lzma.compress(text, preset=9)) - compressed_bits(text) // 8 <= 80


def test_the_training_text_is_the_beginning_of_every_book(token_directory):
    train, tokenizer = open_tokens(token_directory, "train")
    text = training_text(train, tokenizer, 300)
    parts = [tokenizer.decode(train.book_ids(book)[:-1].tolist()).encode()[:100] for book in train.books]
    assert text == b"".join(parts)
    assert training_text(train, tokenizer, 0) == b""
