from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.reporting.formatting import (
    amount,
    count,
    duration,
    flattened,
    listing,
    percent,
    plural,
    shortened,
    significant,
    visible,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5678, "1,235"), (110.04, "110.0"), (1.5372, "1.537"), (0.012346, "0.01235"), (0.0, "0"), (None, "–")],
)
def test_numbers_have_four_significant_digits(value: float | None, text: str) -> None:
    assert significant(value) == text


@given(st.floats(min_value=1e-5, max_value=1e9))
def test_rounding_for_reading_loses_less_than_a_thousandth(value: float) -> None:
    assert float(significant(value).replace(",", "")) == pytest.approx(value, rel=6e-4, abs=0.5 if value > 1e3 else 0)


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        ((1.5409, 1.4832, 1.5986), ("1.541", "1.483 to 1.599")),
        ((109.94, 75.3, 144.6), ("110", "75 to 145")),
        ((0.12, 0.0991, 0.1409), ("0.120", "0.099 to 0.141")),
        ((2.5, None, None), ("2.500", "")),
        ((2.5, 2.5, 2.5), ("2.500", "2.500 to 2.500")),
    ],
)
def test_a_value_is_as_precise_as_its_interval(
    measured: tuple[float, float | None, float | None], shown: tuple[str, str]
) -> None:
    assert with_interval(*measured) == shown


@given(st.floats(-1e4, 1e4), st.floats(1e-4, 1e3))
def test_two_digits_of_half_the_width_survive_rounding(value: float, half: float) -> None:
    shown, interval = with_interval(value, value - half, value + half)
    low, high = (float(bound.replace(",", "")) for bound in interval.split(" to "))
    assert high - low == pytest.approx(2 * half, rel=0.1, abs=1.001 if half > 10 else 0)
    assert math.isclose(float(shown.replace(",", "")), value, abs_tol=max(0.06 * half, 0.51 if half > 10 else 0))


def test_counts_amounts_and_shares() -> None:
    assert (count(1234567), count(None)) == ("1,234,567", "–")
    assert (amount(1234567), amount(2.5e9), amount(9876)) == ("1.23 million", "2.5 billion", "9,876")
    assert (percent(0.1234), percent(1), percent(0.999), percent(None)) == (
        "12.3\u00a0%",
        "100\u00a0%",
        "99.9\u00a0%",
        "–",
    )
    assert (plural(1, "book"), plural(1200, "book")) == ("1 book", "1,200 books")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.25, "4.2 s"), (59.2, "59 s"), (75, "1 min 15 s"), (7400, "2 h 3 min"), (None, "–")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_listings_read_as_sentences() -> None:
    assert [listing(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


@given(st.text(), st.integers(1, 50))
def test_a_shortened_text_is_one_line_and_fits(text: str, characters: int) -> None:
    short = shortened(text, characters)
    assert len(short) <= characters
    assert short == " ".join(short.split())
    assert short == " ".join(text.split()) or short.endswith("…")


def test_characters_that_break_a_page_become_visible() -> None:
    assert visible("a\x00b\x1bc\ud800\u202ed\r\ne\tf") == "a\ufffdb\ufffdc\ufffd\ufffdd\ne\tf"


def test_nested_settings_become_pairs() -> None:
    nested = {"model": {"d_model": 64}, "seeds": [1, 2], "overlap": [{"split": "test"}], "catalogue": None}
    assert flattened(nested) == [
        ("model, d model", "64"),
        ("seeds", "1, 2"),
        ("overlap 1, split", "test"),
        ("catalogue", "–"),
    ]
