from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from evaluation_inputs import small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from table_models import BigramModel

from mamba_narrative.config.evaluation import StructureSettings
from mamba_narrative.corpus.formats.chapter_table import Heading, read_chapters, write_chapters
from mamba_narrative.corpus.formats.split_table import write_split
from mamba_narrative.evaluation.book_texts import BookText, paragraph_windows, sentence_windows
from mamba_narrative.evaluation.next_chapter import chapter_trials, choose_openings
from mamba_narrative.evaluation.order import exchange_win, exchanges, pairwise_wins, shuffles
from mamba_narrative.evaluation.scoring import ModelScorer, TokenScorer, Trial
from mamba_narrative.evaluation.structure import build_trials, chapter_cases, structure_cases
from mamba_narrative.evaluation.summary import mean_over_books
from mamba_narrative.evaluation.sums import Case, sums_of
from mamba_narrative.evaluation.text_statistics import split_sentences
from mamba_narrative.model.registry import build_model
from mamba_narrative.tokens.chapter_headings import collect_chapters

END = 49
SETTINGS = StructureSettings(
    sentences=4, paragraphs=3, chapter_suffix_tokens=12, chapter_prefix_tokens=(16, 64), bootstrap_samples=100
)


def ids(*tokens):
    return np.array(tokens, np.uint16)


def a_book(chapters=9, seed=1):
    """A text of chapters of six paragraphs, all different, and its headings."""
    generator = np.random.default_rng(seed)
    words = ["lamp", "river", "door", "night", "miller", "ship", "letter", "storm", "garden", "bell", "road", "horse"]
    text, headings = "", []
    for number in range(chapters):
        heading = f"CHAPTER {number + 1}"
        headings.append(Heading(len(text), heading))
        text += heading + "\n\n"
        for _ in range(6):
            sentences = [" ".join(["The", *generator.choice(words, 7)]) + "." for _ in range(3)]
            text += " ".join(sentences) + "\n\n"
    return BookText("b", text), headings


def losses_by_one_pass(model, trial, candidate):
    text = [END, *trial.prefix.tolist(), *candidate.tolist()]
    with torch.no_grad():
        logits = model.logits(model(torch.tensor([text[:-1]]))[0])[0]
    all_losses = logits.logsumexp(-1) - logits[torch.arange(len(text) - 1), torch.tensor(text[1:])]
    return all_losses[len(trial.prefix) :].numpy()


@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.tuples(st.integers(0, 9), st.lists(st.integers(1, 6), min_size=1, max_size=3)), min_size=1,
                     max_size=5),
    room=st.integers(1, 40),
)  # fmt: skip
def test_reading_a_prefix_once_for_many_candidates_is_reading_every_text_from_its_start(lengths, room):
    generator, model = np.random.default_rng(1), small_model()
    draw = lambda length: generator.integers(0, 49, length).astype(np.uint16)  # noqa: E731
    trials = [Trial("b", draw(prefix), tuple(map(draw, candidates))) for prefix, candidates in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mamba_narrative.evaluation.scoring._TOKENS_AT_ONCE", {"cpu": room})
        scored = ModelScorer(model, END).score(trials)
    for trial, found in zip(trials, scored, strict=True):
        for candidate, losses in zip(trial.candidates, found, strict=True):
            np.testing.assert_allclose(losses, losses_by_one_pass(model, trial, candidate), rtol=1e-9)


def test_a_bigram_model_scores_what_is_computed_on_paper():
    # After 0 comes 1 with probability 0.7, after 1 comes 2 with 0.7; everything else shares the rest.
    table = torch.full((4, 4), 0.1, dtype=torch.float64)
    table[[0, 1, 2, 3], [1, 2, 0, 3]] = 0.7
    trial = Trial("b", ids(0), (ids(1, 2), ids(2, 1)))
    ((true, other),) = ModelScorer(BigramModel(table), 3).score([trial])
    np.testing.assert_allclose(true, [-math.log(0.7), -math.log(0.7)])
    np.testing.assert_allclose(other, [-math.log(0.1), -math.log(0.1)])
    # Each sentence begins where the one before it ended: the true order has no cost, any other has.
    chain = [ids(0), ids(1), ids(2), ids(0)]
    (scored,) = ModelScorer(BigramModel(table), 3).score(shuffles("b", [chain], 5, seed=1))
    assert pairwise_wins(scored) == 1.0


def test_wins_count_ties_as_their_chance():
    losses = [np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([2.0, 2.0]), np.array([1.0, 1.0])]
    assert pairwise_wins(losses) == pytest.approx((0.5 + 1 + 0) / 3)
    # 3 + 5 nats in place against 4 + 4 exchanged: a tie.
    assert exchange_win([np.array([3.0]), np.array([4.0])], [np.array([5.0]), np.array([4.0])]) == 0.5
    assert exchange_win([np.array([3.0]), np.array([4.0])], [np.array([4.0]), np.array([4.0])]) == 1


def test_an_opening_is_chosen_by_what_the_prefix_gains_it_not_by_what_it_costs():
    def group(gains):
        # Openings cost 100, 110, 120 ... by themselves; trial i lists its own opening first.
        return [
            [np.array([100.0 + 10 * other - gains.get((place, other), 0)]) for other in order]
            for place in range(6)
            for order in [[place, *(number for number in range(6) if number != place)]]
        ]

    assert choose_openings(group({})) == pytest.approx([1 / 6] * 6)
    assert choose_openings(group({(place, place): 1.0 for place in range(6)})) == [1.0] * 6
    # The prefix of chapter 2 makes opening 5 likelier instead; those of the others say nothing of the rest.
    wrong = choose_openings(group({(2, 5): 3.0}))
    assert wrong[2] == 0
    assert wrong[0] == pytest.approx(1 / 5)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_model_of_single_tokens_is_at_chance_exactly(tokenizer, seed):
    book, headings = a_book()
    trials = build_trials([book], {"b": headings}, SETTINGS, tokenizer)
    size = tokenizer.vocab_size
    losses_of = np.full(size, math.log(size)) if seed is None else np.random.default_rng(seed).uniform(1, 20, size)
    scorer = TokenScorer(losses_of)
    for name, cases in structure_cases(scorer, trials).items():
        assert cases, name
        assert np.mean([case.score for case in cases]) == 0.5, name
    for prefix_tokens in SETTINGS.chapter_prefix_tokens:
        cases = chapter_cases(scorer, trials.chapters, prefix_tokens)
        assert len(cases) == 6
        assert np.mean([case.score for case in cases]) == pytest.approx(1 / 6)


@pytest.mark.slow
def test_an_untrained_model_is_at_chance(tokenizer):
    from evaluation_inputs import SETTINGS as SMALL

    chosen = SETTINGS.model_copy(update={"windows_per_book": 40, "shuffles": 2, "chapter_groups_per_book": 4})
    books = [a_book(chapters=30, seed=seed) for seed in range(3)]
    named = [BookText(str(number), book.text) for number, (book, _) in enumerate(books)]
    headings = {str(number): found for number, (_, found) in enumerate(books)}
    trials = build_trials(named, headings, chosen, tokenizer)
    model = build_model("mamba", SMALL, tokenizer.vocab_size, seed=1).eval()
    scorer = ModelScorer(model, tokenizer.end_of_text_id)
    cases = structure_cases(scorer, trials) | {"chapter_suffix": chapter_cases(scorer, trials.chapters, 64)}
    for name, of_metric in cases.items():
        chance = 1 / 6 if name == "chapter_suffix" else 0.5
        error = math.sqrt(chance * (1 - chance) / len(of_metric))
        assert abs(np.mean([case.score for case in of_metric]) - chance) < 4 * error, name


def test_candidates_of_an_order_are_the_same_tokens_and_begin_with_the_true_one(tokenizer):
    book, _ = a_book()
    for cut in (sentence_windows, paragraph_windows):
        windows = cut(book, 5, 4, 1000, 1, tokenizer)
        assert windows
        for window, trial in zip(windows, shuffles("b", windows, 3, 1), strict=True):
            np.testing.assert_array_equal(np.concatenate((trial.prefix, trial.candidates[0])), np.concatenate(window))
            assert len(trial.candidates) == 4
            for candidate in trial.candidates[1:]:
                assert sorted(candidate) == sorted(trial.candidates[0])
                assert (candidate != trial.candidates[0]).any()


def test_windows_are_consecutive_text_within_the_limit_and_never_overlap(tokenizer):
    book, _ = a_book()
    windows = sentence_windows(book, 1000, 4, 50, 1, tokenizer)
    texts = ["".join(tokenizer.decode(unit.tolist()) for unit in window).strip() for window in windows]
    flat = " ".join(book.text.split())
    assert all(text in flat for text in texts)
    assert len(set(texts)) == len(texts)
    assert all(sum(map(len, window)) <= 50 for window in windows)
    assert "CHAPTER" not in " ".join(texts)


def test_an_exchange_puts_each_sentence_into_the_other_place():
    one, other = [ids(1), ids(2), ids(3)], [ids(4), ids(5), ids(6)]
    ((first, second),) = exchanges("b", [one, other])
    assert [c.tolist() for c in first.candidates] == [[2, 3], [5, 3]]
    assert [c.tolist() for c in second.candidates] == [[5, 6], [2, 6]]
    assert (first.prefix.tolist(), second.prefix.tolist()) == ([1], [4])


def test_the_next_chapter_is_asked_without_headings_and_without_the_answers_in_the_prefix(tokenizer):
    book, headings = a_book(chapters=20)
    trials = chapter_trials(book, headings, 12, 4000, 3, tokenizer)
    assert len(trials) == 18
    for trial in trials:
        prefix, *openings = (tokenizer.decode(part.tolist()) for part in (trial.prefix, *trial.candidates))
        assert len(set(openings)) == 6
        assert all(opening.startswith("The ") for opening in openings)
        assert not any(opening in prefix for opening in openings)
        # The prefix ends where the true chapter's heading stands in the book.
        place = book.text.index(openings[0])
        assert book.text[:place].rsplit("CHAPTER", 1)[0].rstrip().endswith(prefix.rstrip())


def test_books_with_too_few_chapters_give_no_case_and_a_reason(tokenizer):
    book, headings = a_book(chapters=7)
    assert chapter_trials(book, headings, 12, 100, 3, tokenizer) == []
    estimate = mean_over_books(sums_of([]), 100, 1, "no test book has six chapters")
    assert (estimate.value, estimate.n, estimate.reason) == (None, 0, "no test book has six chapters")


def test_headings_of_a_book_used_in_part_are_found_again(tokenizer):
    book, headings = a_book()
    moved = [Heading(heading.offset + 1000, heading.text) for heading in headings]
    before, after = (chapter_trials(book, found, 12, 40, 1, tokenizer) for found in (headings, moved))
    assert [t.prefix.tolist() for t in before] == [t.prefix.tolist() for t in after]


def test_means_weigh_the_cases_of_all_books():
    cases = [Case("a", 1, 1), Case("a", 0, 1), Case("b", 1, 2)]
    assert mean_over_books(sums_of(cases), 100, 1, "").value == pytest.approx(2 / 4)
    assert mean_over_books(sums_of(cases), 100, 1, "").n == 2


def test_sentences_are_the_pieces_between_their_ends():
    assert split_sentences("Mr. Hill came. “Who knocks?” she asked. He went") == [
        "Mr. Hill came.",
        "“Who knocks?” she asked.",
        "He went",
    ]


def test_the_chapters_of_a_split_keep_its_order_and_their_text(tmp_path):
    write_split(tmp_path / "test.tsv", [{"book_id": "2", "shard": "001"}, {"book_id": "1", "shard": "000"}])
    for shard, book_id in (("000", "1"), ("001", "2")):
        rows = [(book, 5, f"I\n\n{book}") for book in (book_id, "other")]
        write_chapters(tmp_path / f"{shard}.chapters.tsv", rows)
    collect_chapters(tmp_path / "test.tsv", tmp_path, tmp_path / "out.tsv")
    assert read_chapters(tmp_path / "out.tsv") == {"2": [Heading(5, "I\n\n2")], "1": [Heading(5, "I\n\n1")]}
    assert list(read_chapters(tmp_path / "out.tsv")) == ["2", "1"]
