from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.evaluation.bootstrap import ratio_of_sums
from mamba_narrative.evaluation.paired import Sums, rank

BOOKS = np.array([1.0, 5.0, 2.0, 9.0, 4.0, 7.0, 3.0, 6.0])
ONES = np.ones(8)


def sums(scores: np.ndarray, weights: np.ndarray = ONES) -> Sums:
    return Sums(scores, weights)


def test_a_difference_is_sharp_where_both_intervals_overlap_because_books_differ() -> None:
    first, second = rank({"b": sums(BOOKS + 0.1), "a": sums(BOOKS)}, "lower", 500, 1)
    assert (first.run, first.is_best, first.behind) == ("a", True, None)
    assert first.value.interval is not None
    assert second.value.interval is not None
    assert first.value.interval[1] > second.value.interval[0]
    assert second.behind is not None
    assert second.behind.interval == pytest.approx((0.1, 0.1))
    assert not second.is_best


def test_no_run_is_best_where_the_difference_may_be_noise() -> None:
    noise = np.array([0.5, -0.5, 0.5, -0.5, 0.5, -0.5, 0.6, -0.5])
    first, second = rank({"a": sums(BOOKS), "b": sums(BOOKS + noise)}, "lower", 500, 1)
    assert first.run == "a"
    assert not first.is_best
    assert second.behind is not None
    assert second.behind.interval is not None
    assert second.behind.interval[0] < 0 < second.behind.interval[1]


def test_one_doubtful_rival_is_enough_to_leave_the_mark_out() -> None:
    noise = np.array([0.5, -0.5, 0.5, -0.5, 0.5, -0.5, 0.6, -0.5])
    ranked = rank({"a": sums(BOOKS), "b": sums(BOOKS + noise), "c": sums(BOOKS + 3)}, "lower", 500, 1)
    assert [standing.run for standing in ranked] == ["a", "b", "c"]
    assert not any(standing.is_best for standing in ranked)


def test_higher_and_closer_to_human_text_turn_the_order() -> None:
    runs = {"low": sums(ONES), "high": sums(ONES * 4)}
    assert [s.run for s in rank(runs, "higher", 100, 1)] == ["high", "low"]
    near, far = rank(runs, "closer to human text", 100, 1, human=sums(ONES * 3))
    assert (near.run, near.is_best) == ("high", True)
    # Distances from 3: 1 and 2.
    assert far.behind is not None
    assert far.behind.value == pytest.approx(1)
    assert far.value.value == pytest.approx(1)
    with pytest.raises(ValueError, match="human"):
        rank(runs, "closer to human text", 100, 1)


def test_what_is_no_contender_is_shown_in_its_place_and_neither_marked_nor_in_the_way() -> None:
    runs = {"published": sums(BOOKS - 0.5), "a": sums(BOOKS), "b": sums(BOOKS + 1)}
    ranked = rank(runs, "lower", 200, 1, contenders=("a", "b"))
    assert [(s.run, s.is_best) for s in ranked] == [("published", False), ("a", True), ("b", False)]
    assert ranked[0].behind is not None
    assert ranked[0].behind.value == pytest.approx(-0.5)


def test_with_four_books_there_is_no_interval_and_no_best_run() -> None:
    ranked = rank({"a": sums(BOOKS[:4], ONES[:4]), "b": sums(BOOKS[:4] + 1, ONES[:4])}, "lower", 100, 1)
    assert [standing.is_best for standing in ranked] == [False, False]
    assert ranked[1].behind is not None
    assert ranked[1].behind.value == pytest.approx(1)
    assert "at least 5" in str(ranked[1].behind.reason)


def test_alone_a_run_is_not_best_and_without_a_value_it_is_left_out() -> None:
    (only,) = rank({"a": sums(BOOKS), "b": sums(BOOKS, ONES * 0)}, "lower", 100, 1)
    assert (only.run, only.is_best) == ("a", False)


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 9)), min_size=5, max_size=12), st.integers(0, 3))
def test_the_interval_of_a_run_is_that_of_its_metric(books: list[tuple[float, int]], seed: int) -> None:
    scores, weights = (np.array(column, np.float64) for column in zip(*books, strict=True))
    (only,) = rank({"a": sums(scores, weights)}, "lower", 100, seed)
    alone = ratio_of_sums(scores, weights, 100, seed)
    assert only.value.value == pytest.approx(alone.value)
    assert only.value.interval == pytest.approx(alone.interval)
