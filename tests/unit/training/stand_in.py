"""A small model of another architecture and a few books of random tokens, for tests of the training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mamba_narrative.config.base import Section
from mamba_narrative.model.interface import LanguageModel, Role, State
from mamba_narrative.tokens.reader import BookTokens


class RecurrentModel(LanguageModel):
    """A small gated recurrent network: another architecture behind the same interface, with dropout."""

    architecture = "recurrent"

    def __init__(self, vocab_size: int = 50, d_model: int = 12, dropout: float = 0.0) -> None:
        super().__init__()
        self.vocab_size, self.padded_vocab_size, self.d_model = vocab_size, vocab_size + 6, d_model
        self.embedding = nn.Embedding(self.padded_vocab_size, d_model)
        self.recurrence = nn.GRU(d_model, d_model, batch_first=True)
        self.mixing = nn.Linear(d_model, d_model)
        self.norm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    @property
    def settings(self) -> Section:
        return Section()

    def forward(self, ids: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        hidden = ids.new_zeros(1, len(ids), self.d_model, dtype=self.norm.weight.dtype)
        hidden = hidden if state is None else state["h"].transpose(0, 1).contiguous()
        steps = []
        for position in range(ids.shape[1]):
            if resets is not None:
                hidden = hidden.masked_fill(resets[:, position, None], 0.0)
            step, hidden = self.recurrence(self.embedding(ids[:, position : position + 1]), hidden)
            steps.append(step)
        read, last = torch.cat(steps, dim=1), hidden
        return self.norm(self.mixing(self.dropout(read))), {"h": last.transpose(0, 1)}

    def head_weight(self) -> Tensor:
        return self.embedding.weight

    def initialise(self, generator: torch.Generator) -> None:
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)

    @property
    def roles(self) -> dict[str, Role]:
        """The mixing matrix is not decayed."""
        found = {
            name: Role("matrix" if parameter.ndim == 2 else "other", decayed=parameter.ndim == 2)
            for name, parameter in self.named_parameters()
        }
        gates = Role("matrix", parts=3 * (self.d_model,))
        return found | {
            "embedding.weight": Role("embedding"),
            "mixing.weight": Role("matrix", decayed=False),
            "recurrence.weight_ih_l0": gates,
            "recurrence.weight_hh_l0": gates,
        }


def recurrent_model(seed: int = 1, **sizes: float) -> RecurrentModel:
    model = RecurrentModel(**sizes)  # type: ignore[arg-type]
    model.initialise(torch.Generator().manual_seed(seed))
    return model


END_OF_TEXT = 49
BOOK_LENGTHS = [70, 9, 33, 1, 25]


def some_books(seed: int = 3) -> tuple[np.ndarray, list[BookTokens]]:
    """Five books of ten of the fifty tokens, each closed by an end of text."""
    ids = np.random.default_rng(seed).integers(0, 10, sum(BOOK_LENGTHS)).astype(np.uint16)
    firsts = np.cumsum([0, *BOOK_LENGTHS])
    ids[firsts[1:] - 1] = END_OF_TEXT
    return ids, [
        BookTokens(str(n), int(firsts[n]), length, length * 4, length * 4, length)
        for n, length in enumerate(BOOK_LENGTHS)
    ]
