from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.evaluation.ngram import discounts, train_ngram

END = 4
A, B, C = 0, 1, 2


def ids(*tokens):
    return np.array(tokens, np.uint16)


def test_bigrams_are_those_computed_by_hand():
    # One book "A B A C". Bigrams (end A), (A B), (B A), (A C), (C end); every discount is 0.5, as none occurs twice.
    model = train_ngram(ids(A, B, A, C, END), 2, 5, END)
    # Continuation counts: A after end and B: 2; B after A: 1; C after A: 1; end after C: 1. Sum 5, spared 4 * 0.5.
    unigram_b = 0.5 / 5 + 2 / 5 / 5
    unigram_a = 1.5 / 5 + 2 / 5 / 5
    # After A: B and C once each: own share 0.25, and 2 * 0.5 / 2 for the unigrams.
    assert model.distribution(ids(A))[B] == pytest.approx(0.25 + 0.5 * unigram_b)
    assert model.distribution(ids(B))[A] == pytest.approx(0.5 + 0.5 * unigram_a)
    # 3 is a token never seen: after C only its share of the uniform distribution is left.
    assert model.distribution(ids(C))[3] == pytest.approx(0.5 * 2 / 5 / 5)
    # After a token never seen, the unigrams alone.
    assert model.distribution(ids(3))[B] == pytest.approx(unigram_b)
    losses = model.losses(ids(B), END)
    assert losses == pytest.approx([-math.log(0.5 * unigram_b)])


@settings(deadline=None, max_examples=25)
@given(
    books=st.lists(st.lists(st.integers(0, 3), max_size=25), min_size=1, max_size=4),
    context=st.lists(st.integers(0, 3), max_size=5),
    opens=st.booleans(),
    order=st.integers(1, 5),
)
def test_probabilities_sum_to_one_after_any_context(books, context, opens, order):
    training = np.concatenate([ids(*book, END) for book in books])
    model = train_ngram(training, order, 5, END)
    distribution = model.distribution(np.array([END, *context] if opens else context, np.int64))
    assert distribution.sum() == pytest.approx(1)
    assert distribution.min() > 0


def by_definition(training, order, vocab_size, context, token):
    """The same probability by dictionaries and recursion, straight from the paper."""
    tokens = [END, *training]
    grams = {
        length: Counter(
            gram
            for gram in (tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1))
            if END not in gram[1:-1] and not (length == 2 and gram == (END, END))
        )
        for length in range(1, order + 1)
    }
    counts = {order: grams[order]}
    for length in range(1, order):
        after = Counter(gram[1:] for gram in grams[length + 1])
        counts[length] = {
            gram: grams[length][gram] if gram[0] == END and length > 1 else after[gram] for gram in grams[length]
        }

    def probability(context):
        length = len(context) + 1
        taken = discounts(np.array(list(counts[length].values())))
        below = probability(context[1:]) if context else 1 / vocab_size
        following = {gram: count for gram, count in counts[length].items() if gram[:-1] == context and count}
        if not following:
            return below
        total = sum(following.values())
        own = following.get((*context, token), 0)
        spared = sum(taken[min(count, 3)] for count in following.values())
        return (own - taken[min(own, 3)]) / total + spared / total * below

    return probability(context)


def test_trigrams_are_those_of_the_definition():
    training = np.append(np.random.default_rng(3).choice(4, 400, p=[0.6, 0.2, 0.15, 0.05]), END)
    training[[90, 91, 200]] = END
    model = train_ngram(training.astype(np.uint16), 3, 5, END)
    for context in ((A, B), (B, C), (END, A), (C, 3)):
        expected = [by_definition(training.tolist(), 3, 5, context, token) for token in range(5)]
        np.testing.assert_allclose(model.distribution(np.array(context)), expected, rtol=1e-12)


def test_discounts_follow_the_formula():
    counts = np.repeat([1, 2, 3, 4], [40, 20, 12, 8])
    share = 40 / 80
    expected = [0, 1 - 2 * share * 20 / 40, 2 - 3 * share * 12 / 20, 3 - 4 * share * 8 / 12]
    np.testing.assert_allclose(discounts(counts), expected)


def test_a_book_does_not_depend_on_the_book_before_it():
    training = ids(A, B, A, C, END, B, C, A, END)
    model = train_ngram(training, 5, 5, END)
    assert model.losses(ids(A, B), END)[0] == pytest.approx(-math.log(model.distribution(ids(END))[A]))
