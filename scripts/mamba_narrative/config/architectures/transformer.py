"""Settings of the Transformer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.config.base import Section
from mamba_narrative.config.model_size import refuse_too_large
from mamba_narrative.config.run import Run

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
        refuse_too_large(self.n_layer * self.block_parameters)
        return self


class TransformerRun(Run):
    """A run of the architecture `transformer`."""

    architecture: Literal["transformer"]
    """The architecture: a module of `config/architectures`."""
    model: TransformerSettings = TransformerSettings()
    """Size of the model."""


RUN = TransformerRun
