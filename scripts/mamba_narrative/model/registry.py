"""The table of architectures. To add one: its settings (``config/architectures.py``), its run
(``config/runs.py``) and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mamba_narrative.config.architectures import MambaSettings, TransformerSettings
from mamba_narrative.config.base import Section
from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import LanguageModel


@dataclass(frozen=True)
class Architecture:
    """One entry of the table: the type of its settings, and how a model of given settings is made."""

    settings: type[Section]
    create: Callable[[Section, int], LanguageModel]


def _create_mamba(settings: Section, vocab_size: int) -> LanguageModel:
    from mamba_narrative.model.mamba import MambaLanguageModel

    assert isinstance(settings, MambaSettings)
    return MambaLanguageModel(settings, vocab_size)


def _create_transformer(settings: Section, vocab_size: int) -> LanguageModel:
    from mamba_narrative.model.transformer import TransformerLanguageModel

    assert isinstance(settings, TransformerSettings)
    return TransformerLanguageModel(settings, vocab_size)


ARCHITECTURES: dict[str, Architecture] = {
    "mamba": Architecture(MambaSettings, _create_mamba),
    "transformer": Architecture(TransformerSettings, _create_transformer),
}


def find_architecture(name: str) -> Architecture:
    """The entry ``name``. Raises UserError with the names there are."""
    if name not in ARCHITECTURES:
        raise UserError(f"architecture {name!r} is unknown; there are: {', '.join(sorted(ARCHITECTURES))}")
    return ARCHITECTURES[name]


def outline_model(architecture: str, settings: Section, vocab_size: int) -> LanguageModel:
    """A model on torch's meta device: shapes and names without memory or values."""
    entry = find_architecture(architecture)
    if not isinstance(settings, entry.settings):
        raise TypeError(f"architecture {architecture!r} takes {entry.settings.__name__}, not {type(settings).__name__}")
    with torch.device("meta"):
        return entry.create(settings, vocab_size)


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
