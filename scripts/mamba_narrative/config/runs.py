"""A named run: an architecture, its size, and its training."""

from __future__ import annotations

from typing import Literal

from pydantic import RootModel

from mamba_narrative.config.architectures import MambaSettings
from mamba_narrative.config.base import Section
from mamba_narrative.config.training import TrainingSettings


class MambaRun(Section):
    """A run of the architecture `mamba`."""

    architecture: Literal["mamba"]
    """The entry of the architecture table."""
    model: MambaSettings = MambaSettings()
    """Size of the model."""
    training: TrainingSettings = TrainingSettings()
    """Keys given here override the section `training` for this run."""


# With a second architecture: Annotated[MambaRun | OtherRun, Field(discriminator="architecture")].
AnyRun = MambaRun


class RunSettings(RootModel[AnyRun]):
    """One run of any architecture, as `train_run` takes it."""
