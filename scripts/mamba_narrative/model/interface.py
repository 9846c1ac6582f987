"""What training, evaluation and export know of a language model, whatever its architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mamba_narrative.config.base import Section
from mamba_narrative.model.dropout import Dropout

State = dict[str, Tensor]
"""What a model remembers of the tokens before. Names are the architecture's own; every tensor has the batch
as its first dimension, so rows can be selected, repeated or zeroed, and the whole be saved by name."""


@dataclass(frozen=True)
class Role:
    """What an optimiser knows of a parameter."""

    kind: Literal["matrix", "embedding", "other"]
    """matrix: two dimensions, and a layer multiplies what it reads with it; embedding: a row a token."""
    decayed: bool = True
    """Whether weight decay shrinks it."""
    parts: tuple[int, ...] = ()
    """Of a matrix that joins several in one product: the rows of each. Empty for one that does not."""


class LanguageModel(nn.Module, ABC):
    """A causal language model that reads a text in pieces.

    ``forward`` gives hidden states, ``logits`` scores of the next token. The vocabulary is padded to a round number
    of rows; the scores of padding are -inf, so they never win and take no probability.
    """

    architecture: str
    """Name in the architecture table."""
    vocab_size: int
    """Number of tokens; valid ids are below it."""
    padded_vocab_size: int
    """Rows of the head and length of ``logits``."""
    d_model: int
    """Length of a hidden vector."""
    dropped: Dropout = Dropout()
    """What is dropped: nothing but inside of ``dropping``. Architectures heed the rates that their settings name in
    ``dropouts``."""
    activation_checkpointing: bool = False
    """Whether blocks keep their inputs only and are computed again for the gradients. Architectures heed it."""

    @property
    @abstractmethod
    def settings(self) -> Section:
        """Size of the model, as configured."""

    @abstractmethod
    def forward(self, ids: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """Read ``ids`` after what ``state`` remembers.

        ids: int64 [batch, length]. state: from an earlier call; None is the state before any text.
        resets: bool [batch, length]; True where a new book starts: nothing before that position changes any output
        at or after it. Returns hidden states float32 [batch, length, d_model] and the state after the last token.
        Gradients flow from the returned state to the weights and to the state that was passed in.
        """

    @torch.no_grad()
    def step(self, ids: Tensor, state: State) -> Tensor:
        """``forward`` of one token a row, ``ids`` [batch, 1]; ``state`` is replaced by that after it, in place.

        Architectures may do this faster than by ``forward``.
        """
        hidden, after = self(ids, state)
        for name, tensor in after.items():
            state[name].copy_(tensor)
        return hidden

    @contextmanager
    def dropping(self, dropout: Dropout) -> Iterator[None]:
        """Drop values of what is computed inside; its gradients must be, too, as blocks may be computed again."""
        self.dropped = dropout
        try:
            yield
        finally:
            self.dropped = Dropout()

    @abstractmethod
    def head_weight(self) -> Tensor:
        """The matrix [padded_vocab_size, d_model] that turns hidden states into scores."""

    def embedding_weight(self) -> Tensor:
        """The matrix [padded_vocab_size, d_model] of a row a token; the head itself unless that is one of its own."""
        return self.head_weight()

    @abstractmethod
    def initialise(self, generator: torch.Generator) -> None:
        """Overwrite every parameter with its initial value, drawing random numbers from ``generator`` alone."""

    @property
    @abstractmethod
    def roles(self) -> dict[str, Role]:
        """The role of every parameter, by its name in ``named_parameters``."""

    def head_bias(self) -> Tensor | None:
        """[padded_vocab_size], 0 for tokens and -inf for padding; None where nothing is padded.

        For losses in pieces: scores are ``F.linear(hidden, head_weight(), head_bias())``.
        """
        if self.padded_vocab_size == self.vocab_size:
            return None
        weight = self.head_weight()
        bias = torch.zeros(self.padded_vocab_size, dtype=weight.dtype, device=weight.device)
        bias[self.vocab_size :] = float("-inf")
        return bias

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores [..., padded_vocab_size] of the next token, float32 (float64 for a float64 model)."""
        scores = F.linear(hidden, self.head_weight(), self.head_bias())
        return scores if scores.dtype == torch.float64 else scores.float()

    def parameter_count(self) -> int:
        """Number of trained values; shared ones count once, rows that pad the vocabulary are none."""
        padding = self.padded_vocab_size - self.vocab_size
        return sum(parameter.numel() for parameter in self.parameters()) - sum(
            padding * matrix.shape[1] for matrix in self.vocabulary_matrices().values()
        )

    def vocabulary_matrices(self) -> dict[str, Tensor]:
        """Embedding and head by their names among the parameters; one entry where they are the same."""
        found = {id(self.embedding_weight()), id(self.head_weight())}
        return {name: parameter for name, parameter in self.named_parameters() if id(parameter) in found}


def detach_state(state: State | None) -> State | None:
    """The same state, through which no gradient flows."""
    return None if state is None else {name: tensor.detach() for name, tensor in state.items()}
