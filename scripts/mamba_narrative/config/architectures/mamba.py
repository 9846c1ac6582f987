"""Settings of Mamba. ``dropouts`` names the settings of the training that drop values, if a model heeds any."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mamba_narrative.config.base import Section
from mamba_narrative.config.model_size import refuse_too_large
from mamba_narrative.config.run import Run


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
        refuse_too_large(self.n_layer * self.block_parameters)
        return self


class MambaRun(Run):
    """A run of the architecture `mamba`."""

    architecture: Literal["mamba"]
    """The architecture: a module of `config/architectures`."""
    model: MambaSettings = MambaSettings()
    """Size of the model."""


RUN = MambaRun
