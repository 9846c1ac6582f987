from __future__ import annotations

import pytest

from mamba_narrative.reporting.reasons import explain_reason, meaning_of


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("too_short", "shorter than selection.min_words"),
        ("unreadable_empty_file", "the file is empty"),
        ("unreadable_file", "the file cannot be opened"),
        ("unreadable_unreadable_file", "the file cannot be opened"),
        ("catalogue_history", "by the catalogue: history"),
    ],
)
def test_codes_are_put_in_words(code: str, words: str) -> None:
    assert meaning_of(code) == explain_reason(code) == words


@pytest.mark.parametrize("code", ["code_of_tomorrow", "unreadable_by_anyone", ""])
def test_an_unknown_code_stays_itself(code: str) -> None:
    assert meaning_of(code) == ""
    assert explain_reason(code) == code
