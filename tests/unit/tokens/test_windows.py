from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.tokens.reader import BookTokens
from mamba_narrative.tokens.windows import IGNORED_TARGET, WindowSampler, permuted

END_OF_TEXT = 65_535
BOOK_LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def sampler_of(lengths: list[int], sequence_length: int, seed: int = 1) -> WindowSampler:
    """Books whose ids are their own positions in the file, so that every target tells where it came from."""
    firsts = np.cumsum([0, *lengths])
    books = [BookTokens(str(n), int(firsts[n]), length, 0, 0, 0) for n, length in enumerate(lengths)]
    return WindowSampler(np.arange(sum(lengths), dtype=np.uint16), books, sequence_length, seed, END_OF_TEXT)


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_every_token_is_a_target_exactly_once_an_epoch(
    lengths: list[int], sequence_length: int, seed: int, epoch: int
) -> None:
    sampler = sampler_of(lengths, sequence_length, seed)
    targets = sampler.batch(epoch * sampler.windows_per_epoch, sampler.windows_per_epoch).targets
    assert sorted(targets[targets != IGNORED_TARGET].tolist()) == list(range(sum(lengths)))


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), position=st.integers(0, 500))
def test_no_window_crosses_a_book(lengths: list[int], sequence_length: int, position: int) -> None:
    sampler = sampler_of(lengths, sequence_length)
    window = sampler.window(position)
    assert 0 <= window.start < window.start + window.length <= lengths[window.book]
    first = sum(lengths[: window.book]) + window.start
    batch = sampler.batch(position, 1)
    assert batch.targets[0, : window.length].tolist() == list(range(first, first + window.length))


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), position=st.integers(0, 500))
def test_each_target_is_predicted_from_the_token_before_it_or_from_an_end_of_text(
    lengths: list[int], sequence_length: int, position: int
) -> None:
    sampler = sampler_of(lengths, sequence_length)
    window, batch = sampler.window(position), sampler.batch(position, 1)
    starts_book = window.start == 0
    for place in range(window.length):
        expected = END_OF_TEXT if starts_book and place == 0 else batch.targets[0, place] - 1
        assert batch.inputs[0, place] == expected


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20))
def test_padding_is_masked_and_costs_less_than_a_window_a_book(lengths: list[int], sequence_length: int) -> None:
    sampler = sampler_of(lengths, sequence_length)
    targets = sampler.batch(0, sampler.windows_per_epoch).targets
    padded = targets == IGNORED_TARGET
    assert (np.diff(padded.astype(int), axis=1) >= 0).all(), "padding comes last in a row"
    assert padded.sum() <= len(lengths) * (sequence_length - 1)


@given(
    lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), position=st.integers(0, 300), sequences=st.integers(1, 9)
)
def test_any_position_gives_what_reading_in_order_gives(
    lengths: list[int], sequence_length: int, position: int, sequences: int
) -> None:
    in_order = sampler_of(lengths, sequence_length).batch(0, position + sequences)
    entered = sampler_of(lengths, sequence_length).batch(position, sequences)
    assert np.array_equal(entered.inputs, in_order.inputs[position:])
    assert np.array_equal(entered.targets, in_order.targets[position:])


@given(size=st.integers(1, 400), key=st.text(max_size=5))
def test_an_order_is_a_permutation(size: int, key: str) -> None:
    assert sorted(permuted(place, size, key) for place in range(size)) == list(range(size))


def test_orders_differ_between_epochs_and_seeds() -> None:
    orders = {
        tuple(permuted(place, 50, f"{seed}/{epoch}") for place in range(50)) for seed in range(5) for epoch in range(5)
    }
    assert len(orders) == 25


def test_every_place_is_about_equally_likely() -> None:
    draws, size = 6_000, 6
    counts = Counter(permuted(0, size, str(key)) for key in range(draws))
    # Standard deviation of a count is about 29.
    assert all(abs(counts[place] - draws / size) < 150 for place in range(size))


def test_pairs_of_neighbours_are_mixed() -> None:
    draws, size = 8_000, 5
    counts = Counter((permuted(0, size, str(key)), permuted(1, size, str(key))) for key in range(draws))
    assert len(counts) == size * (size - 1)
    assert all(abs(count - 400) < 120 for count in counts.values())


def test_no_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="no token"):
        sampler_of([], 8)
