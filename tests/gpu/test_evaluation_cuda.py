"""Reading whole books on a GPU: memory, pieces, books side by side, and draws like the CPU's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.evaluation.held_out import HeldOutBook
from mamba_narrative.evaluation.likelihood import score_books
from mamba_narrative.evaluation.sampling import sample_tokens
from mamba_narrative.model.registry import build_model
from mamba_narrative.progress import Progress

VOCABULARY, END = 500, 499


@pytest.fixture(scope="module")
def model():
    return build_model("mamba", MambaSettings(d_model=128, n_layer=2), VOCABULARY, seed=1).cuda().eval()


def book_of(tokens, seed=1):
    ids = np.random.default_rng(seed).integers(0, END, tokens).astype(np.uint16)
    return HeldOutBook(str(tokens), ids, tokens, tokens, False)


def nats_a_token(model, books, piece, at_once):
    with Progress("scoring", None, "tokens") as progress:
        found = score_books(model, books, END, piece, at_once, progress)
    return found.nats.sum(axis=1) / [len(book.ids) for book in books]


def test_a_novel_of_500_000_tokens_depends_on_no_piece_and_takes_no_more_memory(model):
    peaks = []
    for tokens in (50_000, 500_000):
        torch.cuda.reset_peak_memory_stats()
        found = nats_a_token(model, [book_of(tokens)], 2_048, 1)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] <= peaks[0] * 1.01
    assert nats_a_token(model, [book_of(500_000)], 777, 1) == pytest.approx(found, abs=1e-5)


def test_books_read_side_by_side_are_as_likely_as_alone(model):
    books = [book_of(tokens, seed=tokens) for tokens in (3_000, 5_000, 700, 5_000)]
    alone = [float(nats_a_token(model, [book], 512, 1)[0]) for book in books]
    assert nats_a_token(model, books, 512, 4) == pytest.approx(alone, abs=1e-5)


def test_draws_are_those_of_the_cpu():
    scores = torch.randn(8, VOCABULARY, generator=torch.Generator().manual_seed(1)) * 3
    uniforms = torch.rand(8, 50, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    on_cpu, on_gpu = (
        sample_tokens(scores, uniforms, 0.9, 0.95),
        sample_tokens(scores.cuda(), uniforms.cuda(), 0.9, 0.95).cpu(),
    )
    # The softmax is rounded differently, which moves a number from a token to the next now and then.
    assert (on_cpu == on_gpu).float().mean() > 0.99
