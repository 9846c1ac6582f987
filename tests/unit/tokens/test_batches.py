"""Batches are a function of the step; rows of stateful ones read on from step to step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.tokens.batches import ShuffledBatches, StatefulBatches
from mamba_narrative.tokens.reader import BookTokens
from mamba_narrative.tokens.windows import IGNORED_TARGET, WindowSampler

END = 60_000


def library(lengths):
    """Books whose tokens are all different, so that a token tells where it is from."""
    firsts = np.cumsum([0, *lengths])
    books = [BookTokens(f"book{n}", int(firsts[n]), length, length, length, length) for n, length in enumerate(lengths)]
    return np.arange(firsts[-1], dtype=np.uint16), books


def stateful(lengths, sequence_length=8, sequences=3, seed=1):
    ids, books = library(lengths)
    return StatefulBatches(ids, books, sequence_length, sequences, seed, END)


lengths_of_books = st.lists(st.integers(1, 60), min_size=1, max_size=8)


@given(lengths=lengths_of_books, length=st.integers(1, 20), sequences=st.integers(1, 5), seed=st.integers(0, 3))
def test_every_row_reads_books_from_start_to_end(lengths, length, sequences, seed):
    batches = stateful(lengths, length, sequences, seed)
    ids, books = library(lengths)
    starts = {book.first_token: book for book in books}
    expected = [None] * sequences
    for step in range(12):
        rows = batches.batch(step)
        for row in range(sequences):
            for place in range(length):
                target = rows.targets[row, place]
                assert rows.resets[row, place] == (target in starts)
                if target in starts:
                    # A book starts where none is, or where another one ended.
                    assert expected[row] is None or expected[row] in {*starts, len(ids)}
                    assert rows.inputs[row, place] == END
                else:
                    assert target == expected[row]
                    assert rows.inputs[row, place] == target - 1
                expected[row] = target + 1


@given(lengths=lengths_of_books, sequences=st.integers(1, 4), seed=st.integers(0, 3))
def test_books_come_once_an_epoch_in_the_order_of_the_epoch(lengths, sequences, seed):
    batches = stateful(lengths, 7, sequences, seed)
    _, books = library(lengths)
    number = {book.first_token: index for index, book in enumerate(books)}
    begun = []
    for step in range(10):
        rows = batches.batch(step)
        # Rows take books in turn, each as many as it needs.
        begun += [number[target] for target in rows.targets[rows.resets]]
    for epoch in range(len(begun) // len(books)):
        assert sorted(begun[epoch * len(books) : (epoch + 1) * len(books)]) == list(range(len(books)))


def test_the_order_of_books_is_another_one_in_each_epoch_and_for_each_seed():
    lengths = [8] * 12

    def orders(seed, epochs):
        targets = np.concatenate([stateful(lengths, 8, 3, seed).batch(step).targets for step in range(4 * epochs)])
        return [tuple(targets[12 * epoch : 12 * (epoch + 1), 0] // 8) for epoch in range(epochs)]

    found = [*orders(1, 5), *orders(2, 5)]
    assert all(sorted(order) == list(range(12)) for order in found)
    assert len(set(found)) == 10


@given(seed=st.integers(0, 9), offsets=st.sampled_from(["fixed", "random"]))
def test_the_order_of_windows_is_another_one_in_each_epoch(seed, offsets):
    ids, books = library([40, 9, 33, 61])
    sampler = WindowSampler(ids, books, sequence_length=8, seed=seed, end_of_text_id=END, offsets=offsets)
    orders = {}
    for position in range(120):
        orders.setdefault(int(sampler.epochs(position)), []).append(sampler.window(position))
    assert orders[0] != orders[1] != orders[2] != orders[0]


@given(steps=st.lists(st.integers(0, 15), min_size=1, max_size=6))
def test_a_step_is_the_same_however_it_is_reached(steps):
    lengths = [30, 7, 19, 44]
    for step in steps:
        straight, jumping = stateful(lengths), stateful(lengths)
        expected = [straight.batch(number) for number in range(step + 1)][-1]
        for other in (*steps, step):
            found = jumping.batch(other)
        assert np.array_equal(found.inputs, expected.inputs)
        assert np.array_equal(found.targets, expected.targets)
        assert np.array_equal(found.resets, expected.resets)


def test_no_padding_is_needed():
    rows = stateful([5, 9, 2]).batch(3)
    assert (rows.targets != IGNORED_TARGET).all()


def test_epochs_count_tokens():
    assert stateful([30, 18], sequence_length=8, sequences=3).epochs(4) == 2.0


def test_the_books_of_a_step_are_named():
    ids, books = library([20, 20, 20])
    assert set(stateful([20, 20, 20], 8, 3).books(0)) == {"book0", "book1", "book2"}
    sampler = WindowSampler(ids, books, sequence_length=8, seed=1, end_of_text_id=END)
    batches = ShuffledBatches(sampler, books, sequences=2)
    targets = batches.batch(1).targets
    found = {f"book{target // 20}" for target in targets[targets != IGNORED_TARGET]}
    assert set(batches.books(1)) == found


def test_parts_are_rows():
    rows = stateful([30, 18]).batch(0)
    assert np.array_equal(rows.part(slice(1, 3)).resets, rows.resets[1:3])


def test_without_tokens_there_is_nothing_to_train_on():
    with pytest.raises(ValueError, match="no token"):
        stateful([])
