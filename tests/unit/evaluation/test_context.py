from __future__ import annotations

import math
import resource
from collections import Counter

import numpy as np
import pytest
import torch
from evaluation_inputs import small_model
from table_models import BigramModel, CountingModel

from mamba_narrative.config.evaluation import ContextSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.context import context_sums, measure_books, reset_nats, rms_by_kind, target_starts
from mamba_narrative.evaluation.context_report import ContextMeasures
from mamba_narrative.evaluation.held_out import HeldOutBook
from mamba_narrative.evaluation.likelihood import score_books
from mamba_narrative.model.reading import even_limits, piece_limits, read_books
from mamba_narrative.progress import Progress

END = 2
TABLE = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]])
SETTINGS = ContextSettings(
    context_tokens=(1, 4, 16), spans_per_book=3, span_tokens=2, reset_tokens=(1, 5), shuffled_tokens=20,
    chunk_tokens=16, bootstrap_samples=100,
)  # fmt: skip


def measure_book(model, book, end_of_text_id, settings):
    (found,) = measure_books(model, [book], end_of_text_id, settings, "measuring")
    return found


def book_of(ids, name="b"):
    return HeldOutBook(name, np.asarray(ids, np.uint16), len(ids), 1, False)


def random_book(length=60, vocabulary=2, seed=1):
    return book_of(np.random.default_rng(seed).integers(0, vocabulary, length))


def loss_on_paper(ids):
    return sum(-math.log(TABLE[before, token]) for before, token in zip([END, *ids[:-1]], ids, strict=True))


def test_the_loss_of_a_bigram_model_is_that_computed_on_paper():
    # A after the end, then A A, A B, B B: 0.6 * 0.5 * 0.3 * 0.8.
    assert loss_on_paper([0, 0, 1, 1]) == pytest.approx(-math.log(0.6 * 0.5 * 0.3 * 0.8))
    book = random_book()
    with Progress("scoring", None, "tokens") as progress:
        losses = score_books(BigramModel(TABLE), [book], END, 7, 1, progress)
    assert losses.nats.sum() == pytest.approx(loss_on_paper(book.ids.tolist()))


def test_a_bigram_model_has_no_use_for_more_context_than_one_token():
    book = random_book()
    found = measure_book(BigramModel(TABLE), book, END, SETTINGS)
    assert found.targets == 6
    on_paper = loss_on_paper(book.ids.tolist())
    assert found.carried_nats == pytest.approx(on_paper)
    assert list(found.reset_nats.values()) == pytest.approx([on_paper] * 2)
    assert list(found.context_nats.values()) == pytest.approx([found.whole_nats] * 3)
    assert list(found.remembrance.values()) == pytest.approx([0] * 3)
    assert found.ordered_nats == pytest.approx(loss_on_paper(book.ids[:20].tolist()))


def test_the_targets_are_the_same_for_all_contexts_and_their_loss_is_that_on_paper():
    book = random_book()
    starts = target_starts(book, 16, 3, 2, SETTINGS.seed)
    ids = book.ids.tolist()
    nats = sum(-math.log(TABLE[ids[p - 1], ids[p]]) for start in starts for p in (start, start + 1))
    found = measure_book(BigramModel(TABLE), book, END, SETTINGS)
    assert found.whole_nats == pytest.approx(nats)


def test_gain_remembrance_and_resets_of_a_model_that_needs_five_tokens():
    # Only token 0 is written: probability 1/2 before five tokens have been read, 3/4 from then on.
    model = CountingModel(torch.tensor([[0.5, 0.25, 0.25], [0.75, 0.125, 0.125]]), patience=5)
    settings = SETTINGS.model_copy(update={"context_tokens": (1, 4, 5, 16)})
    found = measure_book(model, book_of([0] * 60), END, settings)
    gain = math.log(0.75 / 0.5)
    measures = ContextMeasures(context_sums({"b": found}), 100, 1)
    assert measures.gain(1).value == pytest.approx(gain)
    # Of each two targets in a row, the second has a fifth token of context.
    assert measures.gain(4).value == pytest.approx(gain / 2)
    assert measures.gain(5).value == pytest.approx(0)
    assert measures.step(4, 16).value == pytest.approx(-gain / 2)
    assert measures.remembrance(1).value == pytest.approx(0.25)
    assert measures.remembrance(16).value == pytest.approx(0)
    # In blocks of five, four of five tokens are predicted from fewer than five; of a whole book only the first four.
    assert measures.reset_excess(5).value == pytest.approx(gain * (60 * 4 / 5 - 4) / 60)
    assert measures.reset_excess(1).value == pytest.approx(gain * 56 / 60)
    assert found.state_rms == {(2**power, "count"): 2**power for power in range(6)}


def test_a_shuffled_book_costs_what_its_pairs_cost():
    text = [0, 1] * 30
    model = BigramModel(torch.tensor([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.4, 0.4, 0.2]]))
    found = measure_book(model, book_of(text), END, SETTINGS.model_copy(update={"shuffled_tokens": 60}))
    assert found.ordered_nats == pytest.approx(-math.log(0.4) - 59 * math.log(0.8))
    assert found.shuffled_nats > found.ordered_nats + 20
    same = (found.shuffled_nats + math.log(0.4) + 59 * math.log(0.8)) / math.log(8)
    assert same == pytest.approx(round(same))  # every pair of equal tokens costs ln 8 more


def test_a_book_too_short_for_the_targets_has_none_and_the_report_says_why():
    found = measure_book(BigramModel(TABLE), random_book(17), END, SETTINGS)
    assert (found.targets, found.context_nats) == (0, {})
    gain = ContextMeasures(context_sums({"b": found}), 100, 1).gain(1)
    assert (gain.value, gain.n) == (None, 0)
    assert "context_tokens" in str(gain.reason)


def test_targets_do_not_overlap_and_have_the_deepest_context():
    book = random_book(400)
    starts = target_starts(book, 100, 50, 4, 3)
    assert (np.diff(starts) >= 4).all()
    assert starts.min() >= 100
    assert starts.max() + 4 <= 400
    assert Counter(starts.tolist()) == Counter(target_starts(book, 100, 50, 4, 3).tolist())


def test_pieces_end_at_powers_of_two_and_cover_the_book():
    assert piece_limits(100, 16) == [1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 100]
    assert piece_limits(3, 16) == [1, 2, 3]
    assert piece_limits(1, 16) == [1]


def test_whole_books_do_not_depend_on_the_pieces_in_single_precision():
    model = small_model().float()
    book = random_book(3_000, 49)
    with torch.inference_mode():
        found = [
            measure_book(model, book, 49, SETTINGS.model_copy(update={"chunk_tokens": n})) for n in (16, 100, 4096)
        ]
    for other in found[1:]:
        assert other.carried_nats / 3_000 == pytest.approx(found[0].carried_nats / 3_000, abs=1e-5)
        assert other.whole_nats / found[0].targets == pytest.approx(found[0].whole_nats / found[0].targets, abs=1e-5)


@torch.inference_mode()
def test_what_is_kept_of_a_book_does_not_grow_with_it():
    model, sizes = small_model().float(), set()
    for piece in read_books(model, [random_book(2_000, 49).ids], 49, even_limits(2_000, 64), 1):
        assert piece.hidden.shape[1] <= 64
        sizes.add(sum(tensor.numel() for tensor in piece.state.values()))
    assert len(sizes) == 1


@pytest.mark.slow
def test_a_novel_of_500_000_tokens_takes_no_more_memory_than_one_of_50_000():
    model, settings = (
        small_model().float(),
        SETTINGS.model_copy(update={"chunk_tokens": 2_048, "reset_tokens": (2_048,)}),
    )
    measure_book(model, random_book(50_000, 49), 49, settings)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    novel = random_book(500_000, 49)
    found = measure_book(model, novel, 49, settings)
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 40
    other = measure_book(model, novel, 49, settings.model_copy(update={"chunk_tokens": 777}))
    assert found.carried_nats / 500_000 == pytest.approx(other.carried_nats / 500_000, abs=1e-5)


def test_what_is_measured_of_a_book_does_not_depend_on_the_books_read_beside_it():
    model, books = small_model(), [random_book(length, 49, seed=length) for length in (30, 61, 64, 17, 61, 150)]
    together = measure_books(model, books, 49, SETTINGS, "measuring")
    for book, found in zip(books, together, strict=True):
        alone = measure_book(model, book, 49, SETTINGS)
        assert (found.tokens, found.targets) == (alone.tokens, alone.targets)
        assert found.carried_nats == pytest.approx(alone.carried_nats)
        assert found.whole_nats == pytest.approx(alone.whole_nats)
        assert dict(found.remembrance) == pytest.approx(alone.remembrance)
        assert dict(found.state_rms) == pytest.approx(alone.state_rms)


def test_resets_throw_the_state_away_and_nothing_else():
    model, book = small_model(), random_book(50, 49)
    with torch.inference_mode():
        once = reset_nats(model, book.ids, 49, 50, 64, "b")
        parts = [np.concatenate(([49], book.ids))[start : start + 11].astype(np.int64) for start in range(0, 50, 10)]
        expected = 0.0
        for part in parts:
            logits = model.logits(model(torch.from_numpy(part[None, :-1]))[0])[0].log_softmax(-1)
            expected -= float(logits[torch.arange(10), torch.from_numpy(part[1:])].sum())
        assert reset_nats(model, book.ids, 49, 10, 64, "b") == pytest.approx(expected)
    assert once == pytest.approx(measure_book(model, book, 49, SETTINGS).carried_nats)


def test_the_size_of_the_state_is_a_root_mean_square_by_kind():
    state = {"0.scan": torch.tensor([[3.0, 4.0]]), "1.scan": torch.tensor([[0.0, 5.0]]), "0.window": torch.ones(1, 3)}
    assert rms_by_kind(state) == pytest.approx({"scan": math.sqrt(50 / 4), "window": 1})


def test_a_model_without_finite_probabilities_is_refused():
    model = BigramModel(torch.full((3, 3), math.nan))
    with pytest.raises(UserError, match="diverged"):
        measure_book(model, random_book(), END, SETTINGS)
