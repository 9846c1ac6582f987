"""A limit of size that all architectures share."""

from __future__ import annotations

_MOST_PARAMETERS = 20_000_000_000
"""In float32 with AdamW's two moments and gradients they take 320 GB, more than any GPU has; nothing is divided."""


def refuse_too_large(parameters: int) -> None:
    """Raise ValueError where the blocks of a model have more ``parameters`` than any GPU can train."""
    if parameters > _MOST_PARAMETERS:
        raise ValueError(
            f"the blocks have {parameters:,} parameters; more than {_MOST_PARAMETERS:,} fit into no GPU here: make "
            "d_model or n_layer smaller"
        )
