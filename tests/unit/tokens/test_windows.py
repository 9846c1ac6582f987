from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.tokens.reader import BookTokens
from mamba_narrative.tokens.windows import IGNORED_TARGET, Batch, WindowSampler, permuted

END_OF_TEXT = 65_535
OFFSETS = st.sampled_from(["fixed", "random"])
BOOK_LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def sampler_of(lengths: list[int], sequence_length: int, offsets: str = "fixed", seed: int = 1) -> WindowSampler:
    """Books whose ids are their own positions in the file, so that every target tells where it came from."""
    firsts = np.cumsum([0, *lengths])
    books = [BookTokens(str(n), int(firsts[n]), length, 0, 0, 0) for n, length in enumerate(lengths)]
    ids = np.arange(sum(lengths), dtype=np.uint16)
    return WindowSampler(ids, books, sequence_length, seed, END_OF_TEXT, offsets)


def positions_of(sampler: WindowSampler, epoch: int) -> range:
    """Of the windows of an epoch in the endless sequence."""
    most = (epoch + 1) * int((sampler._tokens // sampler.sequence_length + 2).sum())
    first, end = (bisect_left(range(most), n, key=sampler.epochs) for n in (epoch, epoch + 1))
    assert (sampler.epochs(first), sampler.epochs(end)) == (epoch, epoch + 1), "an epoch ends with a window"
    return range(first, end)


def epoch_of(sampler: WindowSampler, epoch: int) -> Batch:
    positions = positions_of(sampler, epoch)
    return sampler.batch(positions.start, len(positions))


@given(
    lengths=BOOK_LENGTHS,
    sequence_length=st.integers(1, 20),
    offsets=OFFSETS,
    seed=st.integers(0, 9),
    epoch=st.integers(0, 3),
)
def test_every_token_is_a_target_exactly_once_an_epoch(
    lengths: list[int], sequence_length: int, offsets: str, seed: int, epoch: int
) -> None:
    targets = epoch_of(sampler_of(lengths, sequence_length, offsets, seed), epoch).targets
    assert sorted(targets[targets != IGNORED_TARGET].tolist()) == list(range(sum(lengths)))


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), offsets=OFFSETS, position=st.integers(0, 500))
def test_no_window_crosses_a_book(lengths: list[int], sequence_length: int, offsets: str, position: int) -> None:
    sampler = sampler_of(lengths, sequence_length, offsets)
    window = sampler.window(position)
    assert 0 <= window.start < window.start + window.length <= lengths[window.book]
    first = sum(lengths[: window.book]) + window.start
    batch = sampler.batch(position, 1)
    assert batch.targets[0, : window.length].tolist() == list(range(first, first + window.length))


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), offsets=OFFSETS, position=st.integers(0, 500))
def test_each_target_is_predicted_from_the_token_before_it_or_from_an_end_of_text(
    lengths: list[int], sequence_length: int, offsets: str, position: int
) -> None:
    sampler = sampler_of(lengths, sequence_length, offsets)
    window, batch = sampler.window(position), sampler.batch(position, 1)
    starts_book = window.start == 0
    for place in range(window.length):
        expected = END_OF_TEXT if starts_book and place == 0 else batch.targets[0, place] - 1
        assert batch.inputs[0, place] == expected


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), offsets=OFFSETS, epoch=st.integers(0, 3))
def test_padding_is_masked_comes_last_and_is_in_the_first_and_last_window_of_a_book_alone(
    lengths: list[int], sequence_length: int, offsets: str, epoch: int
) -> None:
    sampler = sampler_of(lengths, sequence_length, offsets)
    padded = epoch_of(sampler, epoch).targets == IGNORED_TARGET
    assert (np.diff(padded.astype(int), axis=1) >= 0).all(), "padding comes last in a row"
    shorter = [
        window
        for position in positions_of(sampler, epoch)
        if (window := sampler.window(position)).length < sequence_length
    ]
    for window in shorter:
        is_last = window.start + window.length == lengths[window.book]
        assert is_last or (offsets == "random" and window.start == 0)


@given(
    lengths=BOOK_LENGTHS,
    sequence_length=st.integers(1, 20),
    offsets=OFFSETS,
    position=st.integers(0, 300),
    sequences=st.integers(1, 9),
)
def test_any_position_gives_what_reading_in_order_gives(
    lengths: list[int], sequence_length: int, offsets: str, position: int, sequences: int
) -> None:
    in_order = sampler_of(lengths, sequence_length, offsets).batch(0, position + sequences)
    entered = sampler_of(lengths, sequence_length, offsets).batch(position, sequences)
    assert np.array_equal(entered.inputs, in_order.inputs[position:])
    assert np.array_equal(entered.targets, in_order.targets[position:])


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), offsets=OFFSETS)
def test_epochs_grow_with_every_window(lengths: list[int], sequence_length: int, offsets: str) -> None:
    sampler = sampler_of(lengths, sequence_length, offsets)
    counted = [sampler.epochs(position) for position in range(60)]
    assert counted[0] == 0
    assert (np.diff(counted) > 0).all()


def test_fixed_epochs_are_counted_at_any_distance() -> None:
    sampler = sampler_of([30, 17, 1], 8)
    windows = len(positions_of(sampler, 0))
    assert sampler.epochs(windows * 10**12) == 10**12
    assert sampler.window(windows * 10**12) in [sampler.window(position) for position in range(windows)]


def starts_of(sampler: WindowSampler, epoch: int) -> dict[int, list[int]]:
    """Where the windows of each book begin."""
    windows = [sampler.window(position) for position in positions_of(sampler, epoch)]
    return {
        book: sorted(window.start for window in windows if window.book == book)
        for book in {window.book for window in windows}
    }


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), epoch=st.integers(0, 3))
def test_fixed_cuts_are_at_multiples_of_the_length_in_every_epoch(
    lengths: list[int], sequence_length: int, epoch: int
) -> None:
    starts = starts_of(sampler_of(lengths, sequence_length), epoch)
    assert starts == {book: list(range(0, length, sequence_length)) for book, length in enumerate(lengths)}


@given(lengths=BOOK_LENGTHS, sequence_length=st.integers(1, 20), epoch=st.integers(0, 3))
def test_random_cuts_are_as_far_apart_and_leave_books_whole_that_fit_into_a_window(
    lengths: list[int], sequence_length: int, epoch: int
) -> None:
    for book, starts in starts_of(sampler_of(lengths, sequence_length, "random"), epoch).items():
        first, *cuts = starts
        assert first == 0, "every epoch begins the book as it begins"
        assert (np.diff(cuts) == sequence_length).all()
        assert (lengths[book] > sequence_length) or not cuts


def test_random_cuts_differ_between_books_epochs_and_seeds_and_meet_every_place_alike() -> None:
    length, books, epochs = 8, 60, 40

    def cuts(seed: int, epoch: int) -> tuple[int, ...]:
        starts = starts_of(sampler_of([30] * books, length, "random", seed), epoch)
        return tuple(of_book[1] % length for of_book in starts.values())

    of_epochs = [cuts(1, epoch) for epoch in range(epochs)]
    assert len({*of_epochs, cuts(2, 0), cuts(2, 1)}) == epochs + 2
    counts = Counter(place for found in of_epochs for place in found)
    # 2,400 draws of 8 places: the standard deviation of a count is about 16.
    assert all(abs(counts[place] - epochs * books / length) < 80 for place in range(length))


def test_over_epochs_every_token_has_every_amount_of_context_about_equally_often() -> None:
    length, epochs = 6, 600
    sampler = sampler_of([40], length, "random")
    contexts: dict[int, Counter[int]] = {token: Counter() for token in range(40)}
    for epoch in range(epochs):
        for start, end in pairwise([*starts_of(sampler, epoch)[0], 40]):
            for token in range(start, end):
                contexts[token][token - start] += 1
    for token in range(length, 40):
        # The standard deviation of a count is about 9.
        assert all(abs(contexts[token][context] - epochs / length) < 45 for context in range(length)), token
    # The book's first tokens always have its true beginning, or a cut that is nearer.
    assert contexts[0] == {0: epochs}
    assert all(
        max(contexts[token]) == token and contexts[token][token] > epochs / length / 2 for token in range(length)
    )


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
