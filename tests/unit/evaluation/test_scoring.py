"""Scores are computed in pieces that fit into caches and memory, which changes none of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.evaluation import book_reading, scoring
from mamba_narrative.evaluation.scoring import ModelScorer, Trial
from mamba_narrative.model.registry import build_model

SIZES = {
    "mamba": MambaSettings(d_model=32, n_layer=2),
    "transformer": TransformerSettings(d_model=32, n_layer=2, context_length=64),
}


def trials() -> list[Trial]:
    generator = np.random.default_rng(1)
    return [
        Trial(
            str(number),
            generator.integers(0, 90, number % 7).astype(np.uint16),
            tuple(generator.integers(0, 90, 1 + number % 3).astype(np.uint16) for _ in range(3)),
        )
        for number in range(40)
    ]


@pytest.mark.parametrize("architecture", SIZES)
def test_states_side_by_side_stay_within_their_bytes(architecture, monkeypatch):
    model = build_model(architecture, SIZES[architecture], 100, seed=1).eval()
    scorer = ModelScorer(model, end_of_text_id=99)
    expected = scorer.score(trials())
    one, rows = scorer._state_bytes(), []
    model.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    monkeypatch.setitem(scoring._STATE_BYTES_AT_ONCE, "cpu", 10 * one)
    found = scorer.score(trials())
    assert max(rows) == 9  # three trials of three continuations
    for one_trial, other in zip(found, expected, strict=True):
        for losses, same in zip(one_trial, other, strict=True):
            np.testing.assert_allclose(losses, same, atol=1e-5)


@pytest.mark.parametrize("columns", [1, 7, 64, 100])
def test_pieces_of_the_vocabulary_give_the_losses_of_all_logits(columns, monkeypatch):
    # 100 tokens in a vocabulary padded to 104.
    model = build_model("mamba", SIZES["mamba"], 100, seed=1).double().eval()
    hidden, targets = torch.randn(50, 32, dtype=torch.double), torch.arange(0, 100, 2)
    monkeypatch.setattr(book_reading, "_COLUMNS", columns)
    monkeypatch.setattr(book_reading, "_ROWS", 9)
    with torch.no_grad():
        scores = model.logits(hidden)
        targets[0] = scores[0].argmax()
        losses, best = book_reading.predict(model, hidden, targets)
    expected = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
    np.testing.assert_allclose(losses, expected.numpy(), rtol=1e-12)
    assert best.tolist() == (scores.argmax(1) == targets).tolist()
    assert best[0]
