"""A named run: an architecture, its size, and its training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, ValidatorFunctionWrapHandler, WrapValidator

from mamba_narrative.config.architectures import MambaSettings, TransformerSettings
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


class TransformerRun(Section):
    """A run of the architecture `transformer`."""

    architecture: Literal["transformer"]
    """The entry of the architecture table."""
    model: TransformerSettings = TransformerSettings()
    """Size of the model."""
    training: TrainingSettings = TrainingSettings()
    """Keys given here override the section `training` for this run."""


RUN_TYPES: dict[str, type[MambaRun] | type[TransformerRun]] = {"mamba": MambaRun, "transformer": TransformerRun}


class _Named(Section):
    """The key that tells which run it is."""

    model_config = ConfigDict(extra="ignore")

    architecture: Literal["mamba", "transformer"]


def _of_its_architecture(run: Any, as_union: ValidatorFunctionWrapHandler) -> Any:
    """Check a run as its architecture wants it: faults then carry the keys of the file, not the union's own."""
    if isinstance(run, Mapping):
        found: Any = RUN_TYPES[_Named.model_validate(run).architecture].model_validate(run)
    else:
        found = as_union(run)
    heeded = getattr(found.model, "dropouts", frozenset())
    for name, rate in found.training.dropouts.items():
        if rate and name not in heeded:
            raise ValueError(
                f"training.{name} is {rate}, which the architecture {found.architecture} does not heed; set 0"
            )
    return found


AnyRun = Annotated[MambaRun | TransformerRun, Field(discriminator="architecture"), WrapValidator(_of_its_architecture)]


class RunSettings(RootModel[AnyRun]):
    """One run of any architecture, as `train_run` takes it."""
