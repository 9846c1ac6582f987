from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.evaluation.text_statistics import (
    count_quoted_characters,
    count_sentence_ends,
    distinct_fraction,
    ends_in_loop,
    zipf_slope,
)

IDS = st.lists(st.integers(0, 4), max_size=40)


@given(IDS, st.integers(1, 5))
def test_the_distinct_share_is_one_exactly_without_repetition(ids, n):
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    share = distinct_fraction(ids, n)
    assert 0 < share <= 1
    assert (share == 1) == all(gram not in grams[:i] for i, gram in enumerate(grams))


@given(st.integers(1, 5), st.integers(10, 40))
def test_one_token_over_and_over_has_one_distinct_n_gram(n, length):
    assert distinct_fraction([7] * length, n) == pytest.approx(1 / (length - n + 1))


@given(IDS, st.lists(st.integers(0, 4), min_size=2, max_size=6))
def test_a_phrase_three_times_at_the_end_is_a_loop(before, phrase):
    assert ends_in_loop(before + 3 * phrase)


@given(st.lists(st.integers(), unique=True, max_size=30))
def test_text_without_repetition_has_no_loop(ids):
    assert not ends_in_loop(ids)


def test_a_phrase_twice_or_a_loop_that_has_ended_is_no_loop():
    assert not ends_in_loop([1, 2, 3, 1, 2, 3])
    assert not ends_in_loop([1, 2, 1, 2, 1, 2, 9])


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("", 0),
        ("He came. She went", 1),
        ("He came. She went.", 2),
        ("Mr. Smith met Dr. J. Brown. They spoke.", 2),
        ("“Where?” he said. “There!” She ran", 2),
        ("It was I. He knew", 1),
        ("Wait ... and see. Then", 1),
        ("CHAPTER TWO\n\nThe rain fell. It", 2),
        ("At 3.5 miles.\n\n\nThe end…", 2),
    ],
)
def test_sentence_ends(text, ends):
    assert count_sentence_ends(text) == ends


@pytest.mark.parametrize(
    ("before", "text", "quoted"),
    [
        ("", "He said “go” now", 4),
        ("", 'He said "go" now', 4),
        ("She: “I will", " come” he", 6),
        ('She: "I will', ' come" he', 6),
        ("“Open.\n\nNew", " text", 0),
        ("", "“One\n\ntwo” three", 4),
        ("", "no speech", 0),
    ],
)
def test_quoted_characters(before, text, quoted):
    assert count_quoted_characters(before, text) == quoted


@given(st.text(alphabet='ab ."“”\n', max_size=60), st.text(alphabet='ab"“”\n', max_size=20))
def test_quoted_characters_are_part_of_the_text(text, before):
    assert 0 <= count_quoted_characters(before, text) <= len(text)


def test_the_zipf_slope_is_that_of_frequencies_over_ranks():
    assert zipf_slope("a a a a b b b b") == pytest.approx(0)
    # Frequencies 6, 3, 2 are 6 / rank.
    assert zipf_slope("The " * 3 + "the " * 3 + "lamp " * 3 + "river " * 2) == pytest.approx(-1)
    assert zipf_slope("one one") is None
