"""The language that is declared, and the one that the text is in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.corpus.select.language import (
    SAMPLE_CHARACTERS,
    SAMPLES,
    codes_of_header,
    detect_language,
    sample_text,
)
from unit.corpus.selection_texts import french, story


@pytest.mark.parametrize(
    ("field", "codes"),
    [
        ("English", ("en",)),
        ("english", ("en",)),
        ("English, French", ("en", "fr")),
        ("Finnish (with Latin)", ("fi", "la")),
        ("Quenya", ()),
        ("", ()),
        (None, ()),
    ],
)
def test_a_header_names_languages_in_english(field, codes):
    assert codes_of_header(field) == codes


def test_english_and_french_are_told_apart():
    english, other = detect_language(story()), detect_language(french())
    assert english is not None
    assert (english.language, english.share) == ("en", 1.0)
    assert other is not None
    assert (other.language, other.share) == ("fr", 1.0)


def test_a_text_in_two_languages_has_the_share_of_the_commoner_one():
    found = detect_language(story(words=3_000) + french(words=1_500))
    assert found is not None
    assert found.language == "en"
    assert 0.5 < found.share < 0.9


def test_a_text_without_letters_has_no_language():
    assert detect_language("1 2 3 4 5 * * *\n" * 100) is None
    assert detect_language("") is None


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20_000))
def test_samples_are_parts_of_the_text_in_order(text):
    samples = sample_text(text)
    assert 1 <= len(samples) <= SAMPLES
    assert all(len(sample) <= SAMPLE_CHARACTERS for sample in samples)
    position = 0
    for sample in samples:
        position = text.index(sample, position)
