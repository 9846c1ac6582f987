"""A Transformer decoder: the baseline beside Mamba.

RMSNorm before every part, rotary positions (Su et al. 2021), causal attention over the last ``context_length`` tokens,
a gated feed-forward network (Shazeer 2020) or one with GELU, no biases, a head tied to the embedding, GPT-2's initial
values (Radford et al. 2019). A long text is read as a sliding window, in whatever pieces it comes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.model.attention import Reading, Rotation, Step, rotate
from mamba_narrative.model.dropout import Dropout, Site, dropout
from mamba_narrative.model.interface import LanguageModel, Role, State
from mamba_narrative.model.layers import (
    EMBEDDING_STD,
    RMSNorm,
    checkpointed,
    compute_dtype,
    embed,
    padded_rows,
    untied_head,
)


class Attention(nn.Module):
    """Multi-head attention with rotary positions."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        self.n_head = settings.resolved_n_head
        self.qkv_proj = nn.Linear(settings.d_model, 3 * settings.d_model, bias=False)
        self.o_proj = nn.Linear(settings.d_model, settings.d_model, bias=False)

    def forward(
        self, hidden: Tensor, keys: Tensor | None, values: Tensor | None, reading: Reading, site: Site | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend along ``hidden`` [batch, length, d_model] after the ring of ``keys`` and ``values``.

        Rings are [batch, context_length, n_head, head]; returns the output and the rings after the last position.
        ``site``: where values that the heads give are dropped.
        """
        query, key, value = self.project(hidden, reading.rotation)
        key, value = reading.seen(keys, key), reading.seen(values, value)
        mixed = reading.attend(query, key, value)
        return self.o_proj(dropout(mixed.flatten(2), site)), reading.ring_after(key), reading.ring_after(value)

    def step(self, hidden: Tensor, keys: Tensor, values: Tensor, step: Step) -> Tensor:
        """``forward`` of one position without gradients; the rings are changed in place."""
        query, key, value = self.project(hidden, step.rotation)
        return self.o_proj(step.attend(query, keys, values, key, value).flatten(2))

    def project(self, hidden: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [batch, length, n_head, head]; the first two turned by their positions."""
        projected = self.qkv_proj(hidden).unflatten(-1, (3, self.n_head, -1))
        query, key = rotate(projected[:, :, :2], rotation).unbind(2)
        return query, key, projected[:, :, 2]


class FeedForward(nn.Module):
    """The part of a block that works on each position alone."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        width = settings.resolved_d_ff
        self.gated = settings.mlp == "swiglu"
        if self.gated:
            self.gate_up_proj = nn.Linear(settings.d_model, 2 * width, bias=False)
        else:
            self.up_proj = nn.Linear(settings.d_model, width, bias=False)
        self.down_proj = nn.Linear(width, settings.d_model, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """``hidden`` and the result are [batch, length, d_model]."""
        if self.gated:
            gate, inner = self.gate_up_proj(hidden).chunk(2, dim=-1)
            return self.down_proj(F.silu(gate) * inner)
        return self.down_proj(F.gelu(self.up_proj(hidden)))


class TransformerBlock(nn.Module):
    """Attention and feed-forward network; the next block adds the latter's result to the residual stream."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(settings.d_model)
        self.attention = Attention(settings)
        self.mlp_norm = RMSNorm(settings.d_model)
        self.mlp = FeedForward(settings)

    def forward(
        self,
        residual: Tensor,
        update: Tensor | None,
        keys: Tensor | None,
        values: Tensor | None,
        reading: Reading,
        drop: Dropout,
        index: int,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take up the ``update`` of the block before; returns the residual, this block's update, and both rings.

        ``index``: number of blocks before.
        """
        normed, residual = self.attention_norm(residual, update, self.compute_dtype(), drop.update(2 * index))
        mixed, keys_after, values_after = self.attention(normed, keys, values, reading, drop.attention(index))
        normed, residual = self.mlp_norm(residual, mixed, self.compute_dtype(), drop.update(2 * index + 1))
        return residual, self.mlp(normed), keys_after, values_after

    def step(
        self, residual: Tensor, update: Tensor | None, keys: Tensor, values: Tensor, step: Step
    ) -> tuple[Tensor, Tensor]:
        """``forward`` of one position without gradients; the rings are changed in place."""
        normed, residual = self.attention_norm(residual, update, self.compute_dtype())
        normed, residual = self.mlp_norm(
            residual, self.attention.step(normed, keys, values, step), self.compute_dtype()
        )
        return residual, self.mlp(normed)

    def compute_dtype(self) -> torch.dtype:
        """The type of the matrix products."""
        return compute_dtype(self.attention.qkv_proj.weight)


class TransformerLanguageModel(LanguageModel):
    """A decoder whose tokens see the ``context_length`` last ones of their book.

    State: rings ``{layer}.keys`` and ``{layer}.values`` [batch, context_length, n_head, head] with the token at
    position p of its book at place p mod context_length, zeros where there is none; and ``position`` int64 [batch],
    the tokens of the book so far. A row of zeros is the state before any text.
    """

    architecture = "transformer"

    def __init__(self, settings: TransformerSettings, vocab_size: int) -> None:
        super().__init__()
        self._settings = settings
        self.d_model = settings.d_model
        self.vocab_size = vocab_size
        self.padded_vocab_size = padded_rows(vocab_size, settings.pad_vocab_size_multiple)
        self.embedding = nn.Embedding(self.padded_vocab_size, settings.d_model)
        self.blocks = nn.ModuleList(TransformerBlock(settings) for _ in range(settings.n_layer))
        self.final_norm = RMSNorm(settings.d_model)
        self.lm_head = untied_head(settings.tie_embeddings, self.padded_vocab_size, settings.d_model)

    @property
    def settings(self) -> TransformerSettings:
        """Size of the model, as configured."""
        return self._settings

    def forward(self, ids: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``LanguageModel.forward``. Without state and resets it costs least: pass None where there are none."""
        if resets is not None and resets.device.type == "cpu" and not resets.any():
            resets = None  # asking a GPU would make it wait
        if state is None and resets is not None:
            state = self.empty_state(len(ids))  # the same arithmetic as after another book, so the same bits
        position = None if state is None else state["position"]
        reading = Reading(ids, position, resets, self.settings.context_length, self._rotation)
        residual, update = dropout(embed(ids, self.embedding.weight), self.dropped.embedding()), None
        after: State = {"position": reading.position_after}
        for index, block in enumerate(self.layers()):
            keys, values = (None, None) if state is None else (state[f"{index}.keys"], state[f"{index}.values"])
            arguments = (residual, update, keys, values, reading, self.dropped, index)
            if self.activation_checkpointing and torch.is_grad_enabled():
                residual, update, keys, values = checkpointed(block, *arguments)
            else:
                residual, update, keys, values = block(*arguments)
            after[f"{index}.keys"], after[f"{index}.values"] = keys, values
        return self._finished(residual, update, self.dropped.update(2 * self.settings.n_layer)), after

    @torch.no_grad()
    def step(self, ids: Tensor, state: State) -> Tensor:
        """See ``LanguageModel.step``."""
        step = Step(state["position"], self.settings.context_length, self._rotation)
        residual, update = embed(ids, self.embedding.weight), None
        for index, block in enumerate(self.layers()):
            residual, update = block.step(residual, update, state[f"{index}.keys"], state[f"{index}.values"], step)
        state["position"] += 1
        return self._finished(residual, update)

    def empty_state(self, batch: int) -> State:
        """The state before any text."""
        heads, device = self.settings.resolved_n_head, self.embedding.weight.device
        dtype = compute_dtype(self.embedding.weight)
        shape = (batch, self.settings.context_length, heads, self.d_model // heads)
        rings = {
            f"{index}.{name}": torch.zeros(shape, dtype=dtype, device=device)
            for index in range(self.settings.n_layer)
            for name in ("keys", "values")
        }
        return {"position": torch.zeros(batch, dtype=torch.int64, device=device), **rings}

    def layers(self) -> list[TransformerBlock]:
        """The blocks, first to last."""
        return [block for block in self.blocks if isinstance(block, TransformerBlock)]

    def head_weight(self) -> Tensor:
        """The embedding, or a matrix of its own."""
        return self.embedding_weight() if self.lm_head is None else self.lm_head.weight

    def embedding_weight(self) -> Tensor:
        """See ``LanguageModel.embedding_weight``."""
        return self.embedding.weight

    @property
    def roles(self) -> dict[str, Role]:
        """Vectors (the norms) are not decayed; whatever else is not the embedding is a matrix of a block."""
        d_model, width = self.d_model, self.settings.resolved_d_ff
        parts = {"qkv_proj": 3 * (d_model,), "gate_up_proj": 2 * (width,)}
        found = {
            name: Role("other", decayed=False)
            if parameter.ndim < 2
            else Role("matrix", parts=parts.get(name.split(".")[-2], ()))
            for name, parameter in self.named_parameters()
        }
        return found | {name: Role("embedding") for name in ("embedding.weight", "lm_head.weight") if name in found}

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """GPT-2's initial values: what is added to the residual stream shrinks with the number of additions."""
        residual_std = EMBEDDING_STD / math.sqrt(2 * self.settings.n_layer)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0)
            else:
                is_added = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=residual_std if is_added else EMBEDDING_STD, generator=generator)

    def _rotation(self, positions: Tensor) -> Rotation:
        head = self.d_model // self.settings.resolved_n_head
        return Rotation.of(positions, head, self.settings.rope_theta, self.embedding.weight.dtype)

    def _finished(self, residual: Tensor, update: Tensor | None, site: Site | None = None) -> Tensor:
        return self.final_norm(residual, update, residual.dtype, site)[0]


MODEL = TransformerLanguageModel
