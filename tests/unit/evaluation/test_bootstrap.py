from __future__ import annotations

import math

import numpy as np
import pytest

from mamba_narrative.evaluation.bootstrap import Estimate, ratio_of_sums


def test_the_value_is_the_ratio_of_the_sums_not_the_mean_of_ratios():
    assert ratio_of_sums([1, 9], [1, 3], 100, 1).value == pytest.approx(2.5)


def test_about_95_percent_of_intervals_hold_the_true_ratio():
    generator = np.random.default_rng(5)
    hits = 0
    for trial in range(300):
        sizes = generator.uniform(50, 150, 40)
        tops = sizes * generator.normal(3.0, 0.4, 40)
        interval = ratio_of_sums(tops, sizes, 300, trial).interval
        assert interval is not None
        hits += interval[0] <= 3.0 <= interval[1]
    assert 0.90 <= hits / 300 <= 0.985


def test_the_interval_is_as_wide_as_theory_says():
    values = np.random.default_rng(2).normal(10, 2, 400)
    interval = ratio_of_sums(values, np.ones(400), 4000, 1).interval
    assert interval is not None
    assert interval[1] - interval[0] == pytest.approx(2 * 1.96 * values.std() / math.sqrt(400), rel=0.08)


def test_the_seed_decides_the_interval():
    tops, bottoms = [1.0, 4.0, 2.0, 8.0, 3.0], [1.0, 2.0, 3.0, 4.0, 5.0]
    assert ratio_of_sums(tops, bottoms, 200, 3) == ratio_of_sums(tops, bottoms, 200, 3)
    assert ratio_of_sums(np.arange(50), np.ones(50), 200, 3) != ratio_of_sums(np.arange(50), np.ones(50), 200, 4)


def test_equal_books_give_an_interval_around_the_value():
    estimate = ratio_of_sums([0.1] * 7, [0.3] * 7, 200, 1)
    assert estimate.value is not None
    assert estimate.interval is not None
    assert estimate.interval[0] <= estimate.value <= estimate.interval[1]


@pytest.mark.parametrize("books", [1, 4])
def test_fewer_than_five_books_give_a_value_without_an_interval_and_say_why(books):
    estimate = ratio_of_sums([3] * books, [2] * books, 100, 1)
    assert (estimate.value, estimate.interval, estimate.n) == (1.5, None, books)
    assert "at least 5" in (estimate.reason or "")
    assert ratio_of_sums([3] * 5, [2] * 5, 100, 1).interval is not None


def test_nothing_to_divide_by_gives_no_value_and_says_why():
    record = ratio_of_sums([3, 1], [0, 0], 100, 1).record("sentence_words")
    assert record["value"] is None
    assert "denominator" in str(record["reason"])


def test_resamples_without_a_denominator_are_left_out():
    estimate = ratio_of_sums([4, 0, 4, 4, 4], [2, 0, 2, 2, 2], 500, 1)
    assert estimate.interval == (2.0, 2.0)


def test_a_value_beyond_floating_point_is_null_with_a_reason():
    assert Estimate(1000.0, (900.0, 1100.0), 4).transformed(math.exp).record("word_perplexity")["value"] is None
