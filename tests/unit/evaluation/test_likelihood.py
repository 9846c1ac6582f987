from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from evaluation_inputs import small_model

from mamba_narrative.config.evaluation import LikelihoodSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.book_losses import METRICS, BookLosses, losses_by_size
from mamba_narrative.evaluation.held_out import HeldOutBook, held_out_books, open_tokens
from mamba_narrative.evaluation.likelihood import score_books
from mamba_narrative.evaluation.likelihood_report import estimate
from mamba_narrative.evaluation.position import range_count, range_limits, sum_by_range
from mamba_narrative.progress import Progress

END = 49


def some_books(lengths=(70, 9, 0, 33, 70)):
    generator = np.random.default_rng(1)
    return [
        HeldOutBook(str(n), generator.integers(0, 49, length).astype(np.uint16), 4 * length, length // 2, False)
        for n, length in enumerate(lengths)
    ]


def score(books, context_tokens=1000, batch_size=1, model=None):
    with Progress("scoring", None, "tokens") as progress:
        return score_books(model or small_model(), books, END, context_tokens, batch_size, progress)


@torch.no_grad()
def losses_by_brute_force(book):
    model = small_model()
    ids = torch.tensor([[END, *book.ids.tolist()]])
    hidden, _ = model(ids[:, :-1])
    probabilities = model.logits(hidden)[0].softmax(-1)
    return np.array([-math.log(probabilities[i, token].item()) for i, token in enumerate(book.ids.tolist())])


def test_losses_are_those_of_one_forward_pass_in_float64():
    books = some_books()
    found = score(books)
    for number, book in enumerate(books):
        if len(book.ids):
            np.testing.assert_allclose(found.nats[number].sum(), losses_by_brute_force(book).sum(), rtol=1e-10)
            np.testing.assert_allclose(found.nats[number, 0], losses_by_brute_force(book)[0], rtol=1e-10)


@pytest.mark.parametrize(("context_tokens", "batch_size"), [(1, 1), (7, 2), (16, 5), (33, 3), (64, 4)])
def test_the_state_is_carried_so_pieces_and_neighbours_change_nothing(context_tokens, batch_size):
    books = some_books()
    np.testing.assert_allclose(score(books, context_tokens, batch_size).nats, score(books).nats, rtol=1e-9)


def test_context_is_used():
    book = some_books((40,))[0]
    shuffled = HeldOutBook("0", np.concatenate((book.ids[:20][::-1], book.ids[20:])), 160, 20, False)
    assert abs(score([book]).nats[0, 5] - score([shuffled]).nats[0, 5]) > 1e-8


def test_a_model_without_finite_probabilities_is_refused():
    model = small_model()
    next(model.parameters()).data[3] = math.nan
    with pytest.raises(UserError, match="diverged"):
        score(some_books(), model=model)


def test_metrics_follow_their_formulas():
    books = some_books((8, 4))
    sums = losses_by_size(BookLosses(books, np.array([[10.0, 6.0], [4.0, 4.0]])))
    metrics = {name: estimate(sums, name, LikelihoodSettings(bootstrap_samples=200)) for name in METRICS}
    assert metrics["bits_per_byte"].value == pytest.approx(24 / math.log(2) / 48)
    assert metrics["token_perplexity"].value == pytest.approx(math.exp(24 / 12))
    assert metrics["word_perplexity"].value == pytest.approx(math.exp(24 / 6))


def test_positions_fall_into_doubling_ranges_without_gap():
    assert [range_limits(n) for n in range(4)] == [(0, 1), (1, 3), (3, 7), (7, 15)]
    for length in (1, 2, 3, 7, 8, 100, 4096):
        first, end = range_limits(range_count(length) - 1)
        assert first < length <= end


@pytest.mark.parametrize("cut", [1, 2, 3, 8, 50])
def test_sums_by_range_add_up_however_they_are_cut(cut):
    values = np.random.default_rng(1).normal(size=100)
    pieces = sum(sum_by_range(start, values[start : start + cut], 7) for start in range(0, 100, cut))
    expected = [values[slice(*range_limits(number))].sum() for number in range(7)]
    np.testing.assert_allclose(pieces, expected)


def test_a_whole_book_has_the_size_of_its_text_and_a_cut_one_that_of_its_tokens(token_directory, tokenizer):
    tokens, _ = open_tokens(token_directory, "test")
    whole, cut = (held_out_books(tokens, tokenizer, limit)[0] for limit in (None, 50))
    text = tokenizer.decode(whole.ids.tolist())
    assert (whole.bytes, whole.words, whole.is_cut) == (len(text.encode()), len(text.split()), False)
    part = tokenizer.decode(cut.ids.tolist())
    assert len(cut.ids) == 50
    assert text.startswith(part)
    assert (cut.bytes, cut.words, cut.is_cut) == (len(part.encode()), len(part.split()), True)
    assert tokenizer.end_of_text_id not in whole.ids
