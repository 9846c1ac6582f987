"""Models by the name of their architecture (``config/architectures`` says what one consists of)."""

from __future__ import annotations

import torch

from mamba_narrative.config import architectures
from mamba_narrative.config.base import Section
from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import LanguageModel


def settings_type(architecture: str) -> type[Section]:
    """The type of an architecture's settings. Raises UserError with the names there are."""
    run = architectures.declared(architecture, architectures.RUN)
    if run is None:
        raise UserError(f"architecture {architecture!r} is unknown; there are: {', '.join(architectures.names())}")
    return run.model_fields["model"].annotation


def outline_model(architecture: str, settings: Section, vocab_size: int) -> LanguageModel:
    """A model on torch's meta device: shapes and names without memory or values."""
    expected = settings_type(architecture)
    if not isinstance(settings, expected):
        raise TypeError(f"architecture {architecture!r} takes {expected.__name__}, not {type(settings).__name__}")
    with torch.device("meta"):
        return architectures.declared(architecture, architectures.MODEL)(settings, vocab_size)


def build_model(architecture: str, settings: Section, vocab_size: int, seed: int) -> LanguageModel:
    """A model with initial weights on the CPU, float32. The same arguments give the same weights to the bit.

    Takes its random numbers from a generator of its own, so the global one is as it was before.
    Raises UserError for an unknown architecture.
    """
    model = outline_model(architecture, settings, vocab_size).to_empty(device="cpu")
    model.initialise(torch.Generator().manual_seed(seed))
    with torch.no_grad():  # padding gets no gradient, so what is not stored with the model stays zero
        for matrix in model.vocabulary_matrices().values():
            matrix[model.vocab_size :].zero_()
    return model
