"""The architectures a run may name, with the settings of each.

To add one: a settings class here, an entry in ``RunSettings`` (``config/runs.py``), and a builder in
``model/registry.py``. ``dropouts`` names the settings of the training that drop values, if the model heeds any.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mamba_narrative.config.base import Section

_MOST_PARAMETERS = 20_000_000_000
"""In float32 with AdamW's two moments and gradients they take 320 GB, more than any GPU has; nothing is divided."""


def _refuse_too_large(parameters: int) -> None:
    if parameters > _MOST_PARAMETERS:
        raise ValueError(
            f"the blocks have {parameters:,} parameters; more than {_MOST_PARAMETERS:,} fit into no GPU here: make "
            "d_model or n_layer smaller"
        )


class MambaSettings(Section):
    """Mamba-1 (Gu and Dao 2023); names and defaults of mamba-ssm. 130M is d_model 768 with 24 layers."""

    dropouts: ClassVar[frozenset[str]] = frozenset({"embedding_dropout", "residual_dropout"})

    d_model: int = Field(default=768, ge=8, le=16_384)
    """Width of the residual stream."""
    n_layer: int = Field(default=24, ge=1, le=1_024)
    """Number of Mamba blocks."""
    d_state: int = Field(default=16, ge=1, le=1_024)
    """State size of each channel."""
    d_conv: int = Field(default=4, ge=1, le=64)
    """Width of the causal convolution."""
    expand: int = Field(default=2, ge=1, le=16)
    """Inner width as a multiple of d_model."""
    dt_rank: Annotated[int, Field(ge=1, le=16_384)] | Literal["auto"] = "auto"
    """Rank of the step-size projection; auto: d_model / 16, rounded up."""
    pad_vocab_size_multiple: int = Field(default=8, ge=1, le=1_024)
    """Embedding rows are padded to a multiple of this."""
    tie_embeddings: bool = True
    """Whether the head is the embedding; false: a matrix of its own."""
    scan_backend: Literal["auto", "cuda", "cpu", "reference", "mamba_ssm"] = "auto"
    """Implementation of the selective scan; auto: the fastest that works here. Only mamba_ssm must be installed."""

    @property
    def resolved_dt_rank(self) -> int:
        """The rank of the step-size projection as a number."""
        return math.ceil(self.d_model / 16) if self.dt_rank == "auto" else self.dt_rank

    @property
    def block_parameters(self) -> int:
        """Trained values of one block."""
        d_inner, rank = self.expand * self.d_model, self.resolved_dt_rank
        matrices = 3 * d_inner * self.d_model + d_inner * (rank + 2 * self.d_state) + rank * d_inner
        a_log_and_convolution = d_inner * (self.d_state + self.d_conv)
        d_and_biases, norm = 3 * d_inner, self.d_model
        return matrices + a_log_and_convolution + d_and_biases + norm

    @model_validator(mode="after")
    def _sizes_fit(self) -> MambaSettings:
        if self.resolved_dt_rank > self.d_model:
            raise ValueError(f"dt_rank ({self.dt_rank}) must not exceed d_model ({self.d_model})")
        _refuse_too_large(self.n_layer * self.block_parameters)
        return self


_HEAD_WIDTH = 64
_FF_MULTIPLE = 32
"""Matrix products of other sizes leave parts of a GPU idle."""


class TransformerSettings(Section):
    """A decoder with rotary positions and RMSNorm before every part. The defaults are as large as Mamba-130M.

    Half as many blocks as Mamba's at the same d_model are about the same number of parameters.
    """

    dropouts: ClassVar[frozenset[str]] = frozenset({"embedding_dropout", "residual_dropout", "attention_dropout"})

    d_model: int = Field(default=768, ge=8, le=16_384)
    """Width of the residual stream."""
    n_layer: int = Field(default=12, ge=1, le=1_024)
    """Number of blocks: attention and feed-forward network."""
    n_head: Annotated[int, Field(ge=1, le=1_024)] | Literal["auto"] = "auto"
    """Attention heads; auto: of width 64."""
    mlp: Literal["swiglu", "gelu"] = "swiglu"
    """Feed-forward network: gated (Shazeer 2020), or two matrices with a GELU between them."""
    d_ff: Annotated[int, Field(ge=1, le=131_072)] | Literal["auto"] = "auto"
    """Inner width of the feed-forward network; auto: a block has as many parameters as two of Mamba's."""
    context_length: int = Field(default=2_048, ge=1, le=1_048_576)
    """Tokens that one token sees, itself included; what is read in pieces slides along. Keep it at sequence_length."""
    rope_theta: float = Field(default=10_000.0, ge=1, le=1e12)
    """Base of the rotary wavelengths."""
    pad_vocab_size_multiple: int = Field(default=8, ge=1, le=1_024)
    """Embedding rows are padded to a multiple of this."""
    tie_embeddings: bool = True
    """Whether the head is the embedding; false: a matrix of its own."""

    @property
    def resolved_n_head(self) -> int:
        """The number of heads."""
        return max(1, self.d_model // _HEAD_WIDTH) if self.n_head == "auto" else self.n_head

    @property
    def resolved_d_ff(self) -> int:
        """The inner width of the feed-forward network as a number."""
        if self.d_ff != "auto":
            return self.d_ff
        rest = 2 * MambaSettings(d_model=self.d_model, n_layer=1).block_parameters - self._attention_and_norms
        width = rest / self.d_model / (3 if self.mlp == "swiglu" else 2)
        return max(1, round(width / _FF_MULTIPLE)) * _FF_MULTIPLE

    @property
    def block_parameters(self) -> int:
        """Trained values of one block."""
        return self._attention_and_norms + (3 if self.mlp == "swiglu" else 2) * self.d_model * self.resolved_d_ff

    @property
    def _attention_and_norms(self) -> int:
        return 4 * self.d_model**2 + 2 * self.d_model

    @model_validator(mode="after")
    def _sizes_fit(self) -> TransformerSettings:
        heads = self.resolved_n_head
        if self.d_model % (2 * heads):
            raise ValueError(
                f"d_model ({self.d_model}) must be a multiple of twice n_head ({heads}): rotary positions turn pairs"
            )
        _refuse_too_large(self.n_layer * self.block_parameters)
        return self
