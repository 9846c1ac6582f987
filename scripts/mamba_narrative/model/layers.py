"""Parts that architectures share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mamba_narrative.model.dropout import Site, dropout
from mamba_narrative.model.scan.cuda_norm import add_norm

NORM_EPSILON = 1e-5
EMBEDDING_STD = 0.02


class RMSNorm(nn.Module):
    """Root mean square normalisation of the residual stream."""

    def __init__(self, d_model: int, backend: str = "auto") -> None:
        """backend: that of the scan; ``auto`` and ``cuda`` allow the fused kernel where it works."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d_model))
        self.backend = backend

    def forward(
        self, x: Tensor, update: Tensor | None, dtype: torch.dtype, site: Site | None = None
    ) -> tuple[Tensor, Tensor]:
        """Add ``update`` to ``x``, both [..., d_model], and normalise the sum. Returns that, and the sum.

        Of the update, values of the ``site`` are dropped; it then is [batch, length, d_model].

        x is at least float32, and so is the sum. The first result is in ``dtype`` where a kernel computes it, else
        like x: what reads it converts it.
        """
        if (fused := add_norm(x, update, self.weight, dtype, self.backend, site)) is not None:
            return fused
        x = x if update is None else x + dropout(update, site)
        return F.rms_norm(x, self.weight.shape, self.weight, NORM_EPSILON), x


def compute_dtype(weight: Tensor) -> torch.dtype:
    """The type of matrix products with ``weight``: that of autocast, or its own."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def embed(ids: Tensor, weight: Tensor) -> Tensor:
    """The residual stream [batch, length, d_model] at its beginning, float32 or wider."""
    residual = F.embedding(ids, weight)
    return residual.to(torch.promote_types(residual.dtype, torch.float32))


def untied_head(tied: bool, rows: int, d_model: int) -> nn.Linear | None:
    """The head of a model whose head is not its embedding."""
    return None if tied else nn.Linear(d_model, rows, bias=False)


def padded_rows(vocab_size: int, multiple: int) -> int:
    """The smallest multiple that holds the vocabulary."""
    return -(-vocab_size // multiple) * multiple


def checkpointed(block: nn.Module, *arguments: Any) -> Any:
    """What ``block`` returns; only its inputs are kept, it is computed again for the gradients."""
    # What is dropped (`dropout`) is dropped again, and the states of torch's random numbers cannot be read while a CUDA
    # graph is recorded.
    return checkpoint(block, *arguments, use_reentrant=False, preserve_rng_state=False)
