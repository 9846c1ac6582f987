from __future__ import annotations

from typing import Any

from mamba_narrative.reporting.samples import choose_samples


def record(book_id: str, prompt: str, *continuations: str) -> dict[str, Any]:
    return {
        "book_id": book_id,
        "prompt": prompt,
        "human": f"{prompt}, by its author",
        "continuations": list(continuations),
    }


def test_every_book_has_its_turn_before_one_has_a_second() -> None:
    records = [record(book, f"{book}{number}", "x") for book in ("1", "2", "3") for number in range(2)]
    chosen = choose_samples({"small": records}, {}, 4)
    assert [sample.prompt for sample in chosen] == ["10", "20", "30", "11"]


def test_the_choice_does_not_look_at_the_continuations() -> None:
    texts = ("good", "bad"), ("bad", "good")
    chosen = [choose_samples({"small": [record("1", "p", *pair), record("2", "q", *pair)]}, {}, 1) for pair in texts]
    assert [sample.prompt for (sample,) in chosen] == ["p", "p"]
    assert [sample.continuations for (sample,) in chosen] == [(("small", "good"),), (("small", "bad"),)]


def test_runs_meet_at_the_same_passage() -> None:
    samples = {"a": [record("1", "p", "from a")], "b": [record("2", "q", "only b"), record("1", "p", "from b")]}
    first, second = choose_samples(samples, {}, 5)
    assert first.continuations == (("a", "from a"), ("b", "from b"))
    assert second.continuations == (("b", "only b"),)


def test_a_passage_without_continuation_is_still_shown_with_its_human_text() -> None:
    (sample,) = choose_samples({"a": [record("1", "p")]}, {}, 5)
    assert (sample.human, sample.continuations) == ("p, by its author", ())


def test_a_passage_has_the_title_of_its_book() -> None:
    (sample,) = choose_samples({"a": [record("1", "p")]}, {"1": "The Lighthouse"}, 5)
    assert sample.title == "The Lighthouse"
