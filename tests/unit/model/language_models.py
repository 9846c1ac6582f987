"""What the tests of all language models share: texts of random tokens, and a little training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mamba_narrative.model.interface import LanguageModel

VOCABULARY = 61


def random_ids(length: int, batch: int = 2, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


def assert_learns_a_repeated_text(model: LanguageModel, steps: int, last_loss: float) -> None:
    """From chance to less than ``last_loss`` nats a token in so many steps."""
    ids = random_ids(16, batch=1).repeat(1, 4)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model.logits(model(ids[:, :-1])[0]).flatten(0, 1), ids[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(math.log(VOCABULARY), abs=0.5)
    assert losses[-1] < last_loss
