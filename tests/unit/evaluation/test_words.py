from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from evaluation_inputs import small_model
from table_models import BigramModel

from mamba_narrative.config.evaluation import WordsSettings
from mamba_narrative.evaluation.book_texts import BookText
from mamba_narrative.evaluation.held_out import HeldOutBook
from mamba_narrative.evaluation.last_words import LastWord, last_words
from mamba_narrative.evaluation.names import (
    NameCounts,
    Repeat,
    TokenMention,
    count_names,
    far_mentions,
    mention_nats,
    mentioned_tokens,
    mentions,
    repeats,
    token_ends,
    token_mentions,
)
from mamba_narrative.evaluation.scoring import ModelScorer, TokenScorer, Trial
from mamba_narrative.evaluation.sums import sums_of
from mamba_narrative.evaluation.words import (
    NamedBook,
    book_repeats,
    far_name_cases,
    named_books,
    recall_by_distance,
    word_cases,
)
from mamba_narrative.evaluation.words_report import summary

STORY = (
    "The miller had a lamp of brass which he loved very much. Nobody else in the village owned a thing like it. "
    "One night a stranger came to the door and asked for the old lamp. He was called Hendrik, it seems.\n\n"
    "The children ran after Hendrik all the way down to the river bank. They asked him many questions, naïve ones. "
    "At last the tallest of them took the hand of Hendrik.\n\n"
) * 2 + "The end."


def ids(*tokens):
    return np.array(tokens, np.uint16)


def found(tokenizer, sentences=3, count=100):
    return last_words(BookText("b", STORY), count, sentences, 1, tokenizer)


def test_a_last_word_occurs_before_in_the_passage_and_not_in_its_sentence(tokenizer):
    words = found(tokenizer)
    targets = {tokenizer.decode(word.alone.candidates[0].tolist()): word.is_name for word in words}
    assert targets == {" lamp": False, " Hendrik": True}
    for word in words:
        target = tokenizer.decode(word.alone.candidates[0].tolist()).strip()
        passage, alone = (tokenizer.decode(trial.prefix.tolist()) for trial in (word.with_passage, word.alone))
        assert passage.endswith(alone)
        assert target in passage
        assert target not in alone
        assert alone.startswith((" One night", " At last"))


def test_passages_are_as_many_as_wanted_and_the_same_every_time(tokenizer):
    # As many names as other words.
    assert sorted(word.is_name for word in found(tokenizer, count=1)) == [False, True]
    first, second = ([word.alone.prefix.tolist() for word in found(tokenizer, count=2)] for _ in range(2))
    assert first == second


def test_a_model_of_single_tokens_gains_nothing_from_the_passage(tokenizer):
    losses_of = np.random.default_rng(1).uniform(1, 9, tokenizer.vocab_size)
    cases = word_cases(TokenScorer(losses_of), found(tokenizer))
    assert [case.score for case in cases["last_word_gain"] + cases["last_name_gain"]] == [0.0] * 4
    assert [case.score for case in cases["last_word_accuracy"]] == [0.0] * 2


def test_a_bigram_model_recalls_what_is_computed_on_paper():
    table = torch.full((3, 3), 0.2, dtype=torch.float64)
    table[[0, 1, 2], [1, 2, 0]] = 0.6
    likely, unlikely = Trial("b", ids(0), (ids(1, 2),)), Trial("b", ids(2, 1), (ids(1, 2),))
    one, other = ModelScorer(BigramModel(table), 2).recalls([likely, unlikely])
    assert one.is_greedy
    assert one.nats == pytest.approx(-2 * math.log(0.6))
    assert not other.is_greedy
    assert other.nats == pytest.approx(-math.log(0.2) - math.log(0.6))
    words = [LastWord(likely, unlikely, is_name=False)]
    cases = word_cases(ModelScorer(BigramModel(table), 2), words)
    assert cases["last_word_gain"][0].score == pytest.approx(math.log(0.6 / 0.2))
    assert (cases["last_word_accuracy"][0].score, cases["last_word_accuracy_alone"][0].score) == (1, 0)
    assert cases["last_name_gain"] == []


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_long_text_is_read_with_carried_state(monkeypatch, piece):
    model, text = small_model(), np.random.default_rng(1).integers(0, 49, 40).astype(np.uint16)
    whole = ModelScorer(model, 49).score([Trial("b", ids(), (text,))])[0][0]
    monkeypatch.setattr("mamba_narrative.evaluation.scoring._PIECE_TOKENS", piece)
    # Beside other texts, and looking at some tokens alone.
    texts, wanted = [text[:9], text, text[:30]], [np.arange(9), np.arange(40), np.array([0, 7, 29])]
    found = ModelScorer(model, 49).read(texts, wanted)
    for losses, places in zip(found, wanted, strict=True):
        np.testing.assert_allclose(losses, whole[places], rtol=1e-9)


def test_nothing_is_read_of_no_text():
    assert ModelScorer(small_model(), 49).read([], []) == []
    (none,) = ModelScorer(small_model(), 49).read([ids(1, 2, 3)], [np.empty(0, np.int64)])
    assert none.size == 0


def test_names_are_capitalised_words_inside_sentences_that_are_never_small():
    text = "Old Anna met Mr. Hill. Will Anna come? I will, said Anna. The hill is high. Miss Ruth saw MANY."
    found = mentions(text)
    assert [(mention.name, mention.is_free) for mention in found] == [
        ("Anna", True), ("Anna", True), ("Anna", True), ("Ruth", True)
    ]  # fmt: skip
    assert all(text[mention.start : mention.end] == mention.name for mention in found)
    assert [mention.name for mention in mentions(text, least=2)] == ["Anna"] * 3


def test_a_later_mention_gains_what_it_costs_less_than_the_first(tokenizer):
    text = "Then naïve Hendrik came. And Hendrik sat. Hendrik spoke, and Hendrik left."
    tokens = tokenizer.encode_array(text)
    ends = token_ends(tokens, tokenizer)
    assert ends[-1] == len(text.encode())
    losses = np.zeros(len(tokens))
    costs = iter([9.0, 4.0, 100.0, 1.0])
    places = []
    for start in [place for place in range(len(text)) if text.startswith("Hendrik", place)]:
        offset = len(text[:start].encode())
        first = int(np.searchsorted(ends, offset, side="right"))
        losses[first] = next(costs)
        places.append((first, int(np.searchsorted(ends, offset + len("Hendrik") - 1, side="right")) + 1))
    mentioned = token_mentions(text, tokens, tokenizer)
    found = repeats(mentioned, tokens, mention_nats(mentioned, losses[mentioned_tokens(mentioned)]))
    # The third mention begins its sentence: it counts as a mention, and not as a case.
    distances = [places[1][0] - places[0][1] + 1, places[3][0] - places[2][1] + 1]
    assert found == [Repeat(distances[0], 5.0, 1 / 2), Repeat(distances[1], 8.0, 1 / 2)]


def test_a_mention_in_other_tokens_is_not_compared_but_is_a_mention(tokenizer):
    text = "Then Hendrik came. They saw Hendrik. The (Hendrik, that is) and Hendrik left."
    tokens = tokenizer.encode_array(text)
    mentioned = token_mentions(text, tokens, tokenizer)
    assert len(mentioned) == 4
    found = repeats(mentioned, tokens, [1.0] * 4)
    assert [repeat.gain for repeat in found] == [0.0, 0.0]
    assert found[-1].distance == mentioned[3].begin - mentioned[2].end + 1


def test_token_frequencies_recall_no_name(tokenizer):
    tokens = tokenizer.encode_array(STORY)
    book = HeldOutBook("b", tokens, len(STORY.encode()), len(STORY.split()), is_cut=False)
    scorer = TokenScorer(np.random.default_rng(1).uniform(1, 9, tokenizer.vocab_size))
    named = named_books(scorer, [book], tokenizer)
    again = book_repeats(named)
    assert len(again) == 5
    assert [repeat.gain for _, repeat in again] == pytest.approx([0.0] * 5)
    far = far_name_cases(scorer, named, WordsSettings(name_window_tokens=4))
    assert len(far) == 5
    assert [case.score for case in far] == pytest.approx([0.0] * 5)


def test_a_name_is_far_back_where_its_last_mention_is_no_longer_in_the_window():
    found = [TokenMention("A", 0, 1, True), TokenMention("B", 4, 6, True), TokenMention("A", 9, 10, True)]
    found += [TokenMention("B", 10, 12, False), TokenMention("A", 17, 18, True), TokenMention("B", 30, 32, True)]
    assert far_mentions(found, 7) == [2, 4, 5]
    assert far_mentions(found, 8) == [2, 5]  # from 10 to 17 there are seven tokens
    assert far_mentions(found, 9) == [5]


def test_a_name_from_far_back_gains_what_the_book_adds_to_the_window():
    # After token 0 comes 1 or 2; what the book costs is given.
    table = torch.full((4, 4), 0.25, dtype=torch.float64)
    table[0] = torch.tensor([0.1, 0.6, 0.2, 0.1])
    text = ids(1, 3, 3, 0, 1, 3, 3, 3, 0, 1)
    found = [TokenMention("A", 0, 1, True), TokenMention("A", 4, 5, True), TokenMention("A", 9, 10, True)]
    named = NamedBook(HeldOutBook("b", text, 10, 3, is_cut=False), found, [5.0, 0.1, 0.2])
    scorer = ModelScorer(BigramModel(table), 3)
    cases = far_name_cases(scorer, [named], WordsSettings(name_window_tokens=2))
    assert [case.score for case in cases] == pytest.approx([-math.log(0.6) - 0.1, -math.log(0.6) - 0.2])
    assert far_name_cases(scorer, [named], WordsSettings(name_window_tokens=2, far_names_per_book=1)) in [
        [cases[0]],
        [cases[1]],
    ]


def test_rows_of_distances_hold_every_repeat_once():
    again = [("a", Repeat(distance, float(distance), 1.0)) for distance in (1, 15, 16, 300, 100_000)]
    rows = recall_table(again)
    assert sum(row["mentions"] for row in rows) == len(again)
    assert [row["mentions"] for row in rows] == [2, 1, 0, 1, 0, 0, 1]
    assert (rows[0]["distance_from"], rows[0]["distance_to"], rows[-1]["distance_to"]) == (1, 16, None)
    assert rows[0]["gain_nats"] == 8
    assert rows[2]["gain_nats"] is None
    # A name that is met often counts as much as one that is met once.
    often = [("a", Repeat(1, 3.0, 1 / 3))] * 3 + [("a", Repeat(1, 1.0, 1.0))]
    assert recall_table(often)[0]["gain_nats"] == pytest.approx(2)


def recall_table(again):
    sums = {question: sums_of(cases) for question, cases in recall_by_distance(again).items()}
    return summary(sums, {}, WordsSettings(bootstrap_samples=100)).tables["name_recall.csv"].rows


def test_names_of_a_continuation_are_told_by_where_they_were_before():
    prompt = "Then Anna met Mr. Hill by the river, and Ruth too. "
    counts = count_names(prompt, "There Anna saw Boris at once. He and Boris went on, but Hill stayed with Anna.")
    assert counts == NameCounts(all=3, from_prompt=2, in_both_halves=1)
    assert count_names("", "nobody came at all") == NameCounts(0, 0, 0)
