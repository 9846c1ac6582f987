"""Language models whose probabilities are known on paper."""

from __future__ import annotations

import torch
from torch import Tensor

from mamba_narrative.config.base import Section
from mamba_narrative.model.interface import LanguageModel, State


class BigramModel(LanguageModel):
    """p(token | token before) = ``table[before, token]``; it has no state, and its hidden vector is the last token."""

    architecture = "bigram"

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.vocab_size = self.padded_vocab_size = self.d_model = len(table)
        self.scores = torch.nn.Parameter(table.double().log().T.contiguous())

    @property
    def settings(self) -> Section:
        return Section()

    def forward(self, ids: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        return torch.nn.functional.one_hot(ids, self.d_model).double(), {}

    def head_weight(self) -> Tensor:
        return self.scores

    def initialise(self, generator: torch.Generator) -> None:
        raise NotImplementedError

    @property
    def no_weight_decay(self) -> frozenset[str]:
        return frozenset()
