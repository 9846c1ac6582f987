"""What the runs of all architectures have in common."""

from __future__ import annotations

from typing import Any

from mamba_narrative.config.base import Section
from mamba_narrative.config.training import TrainingSettings


class Run(Section):
    """A named run. An architecture says its name and the type of ``model``."""

    architecture: Any
    """The architecture: a module of `config/architectures`."""
    model: Any
    """Size of the model."""
    training: TrainingSettings = TrainingSettings()
    """Keys given here override the section `training` for this run."""
