from __future__ import annotations

from typing import Any

import pytest

from mamba_narrative.reporting.summary import (
    corpus_sentences,
    likelihood_sentences,
    repetition_sentences,
    sample_size_note,
)


def measured(
    run: str, value: float, half: float | None = 0.05, n: int = 40, metric: str = "bits_per_byte"
) -> dict[str, Any]:
    low, high = (None, None) if half is None else (value - half, value + half)
    return {"run": run, "metric": metric, "value": value, "interval_low": low, "interval_high": high, "n": n}


def test_a_run_is_compared_with_the_baseline() -> None:
    (sentence,) = likelihood_sentences([measured("small", 1.5), measured("unigram", 2.0)])
    assert sentence == (
        "Run small needs 1.500 bits for a byte of unseen text (95 % interval 1.450 to 1.550, n = 40 books), "
        "25.0\u00a0% fewer than a model that knows token frequencies alone (2.000)."
    )


def test_a_run_that_has_learned_nothing_is_called_so() -> None:
    (sentence,) = likelihood_sentences([measured("small", 2.1), measured("unigram", 2.0)])
    assert "no fewer than" in sentence
    assert "uses no context yet" in sentence


def test_an_unknown_interval_is_said() -> None:
    (sentence,) = likelihood_sentences([measured("small", 1.5, half=None, n=1), measured("unigram", 2.0)])
    assert "(n = 1 book, no interval)" in sentence


def test_a_missing_baseline_is_said() -> None:
    assert likelihood_sentences([measured("small", 1.5)])[0].endswith("there is no baseline to compare it with.")


@pytest.mark.parametrize(
    ("half", "says"),
    [(0.05, "by these intervals alone the order is not settled"), (0.01, "overlaps with no other run's"),
     (None, "by these intervals alone the order is not settled")],
)  # fmt: skip
def test_runs_are_ranked_only_where_their_intervals_tell_them_apart(half: float | None, says: str) -> None:
    sentences = likelihood_sentences([measured("a", 1.52, half), measured("b", 1.46, half), measured("unigram", 2.0)])
    assert sentences[-1].startswith("Run b ")
    assert says in sentences[-1]


@pytest.mark.parametrize(("n", "says"), [(1, "no interval"), (3, "Only 3 test books"), (12, "wide and approximate")])
def test_few_books_are_a_caution(n: int, says: str) -> None:
    assert says in sample_size_note(n, "test book")


def test_many_books_need_no_caution() -> None:
    assert sample_size_note(30, "test book") == ""


def test_repetition_is_compared_with_the_authors() -> None:
    rows = [measured(run, value, metric="seq_rep_4") for run, value in (("a", 0.2), ("b", 0.1), ("human", 0.004))]
    (sentence,) = repetition_sentences(rows)
    assert "20.0\u00a0% (a) and 10.0\u00a0% (b)" in sentence
    assert sentence.endswith("it is 0.4\u00a0%.")
    assert repetition_sentences(rows[:2]) == []


def test_the_corpus_is_told_with_its_most_frequent_reasons() -> None:
    size = {"words": 2_000_000.0, "tokens": 2_600_000.0}
    corpus = [
        {"step": step, "books": books, **size} for step, books in (("raw", 10), ("selected", 8), ("in_a_split", 7))
    ]
    selection = [
        {"decision": "drop", "reason": "odd", "meaning": "", "books": 1},
        {"decision": "drop", "reason": "too_short", "meaning": "shorter than allowed", "books": 2},
        {"decision": "keep", "reason": "", "meaning": "", "books": 8},
    ]
    splits = [{"split": "train", "books": 6, **size}, {"split": "test", "books": 1, **size}]
    assert corpus_sentences(corpus, selection, splits) == [
        "Of 10 raw books, 8 were selected as narrative prose; 7 of them, with 2 million words, are used. "
        "1 duplicate of these is left out.",
        "Most frequent reasons for leaving a book out: shorter than allowed (2); odd (1).",
        "Training reads 6 books (2.6 million tokens); 1 test book (2.6 million tokens) was kept away from it.",
    ]
