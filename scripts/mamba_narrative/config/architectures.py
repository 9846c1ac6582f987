"""The architectures a run may name, with the settings of each.

To add one: a settings class here, an entry in ``RunSettings`` (``config/runs.py``), and a builder in
``model/registry.py``.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from mamba_narrative.config.base import Section


class MambaSettings(Section):
    """Mamba-1 (Gu and Dao 2023); names and defaults of mamba-ssm. 130M is d_model 768 with 24 layers."""

    d_model: int = Field(default=768, ge=8)
    """Width of the residual stream."""
    n_layer: int = Field(default=24, ge=1)
    """Number of Mamba blocks."""
    d_state: int = Field(default=16, ge=1)
    """State size of each channel."""
    d_conv: int = Field(default=4, ge=1)
    """Width of the causal convolution."""
    expand: int = Field(default=2, ge=1)
    """Inner width as a multiple of d_model."""
    dt_rank: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Rank of the step-size projection; auto: d_model / 16, rounded up."""
    pad_vocab_size_multiple: int = Field(default=8, ge=1)
    """Embedding rows are padded to a multiple of this."""
    scan_backend: Literal["auto", "cuda", "cpu", "reference", "mamba_ssm"] = "auto"
    """Implementation of the selective scan; auto: the fastest that works here. Only mamba_ssm must be installed."""

    @property
    def resolved_dt_rank(self) -> int:
        """The rank of the step-size projection as a number."""
        return math.ceil(self.d_model / 16) if self.dt_rank == "auto" else self.dt_rank
