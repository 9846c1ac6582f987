"""A named run of any architecture there is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, ValidatorFunctionWrapHandler, WrapValidator

from mamba_narrative.config import architectures
from mamba_narrative.config.base import Section
from mamba_narrative.config.run import Run

RUN_TYPES: dict[str, type[Run]] = {
    name: architectures.declared(name, architectures.RUN) for name in architectures.names()
}


class _Named(Section):
    """The key that tells which run it is."""

    model_config = ConfigDict(extra="ignore")

    architecture: Literal[tuple(RUN_TYPES)]  # type: ignore[valid-type]


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


if TYPE_CHECKING:
    AnyRun = Run
else:
    AnyRun = Annotated[
        reduce(or_, RUN_TYPES.values()), Field(discriminator="architecture"), WrapValidator(_of_its_architecture)
    ]


class RunSettings(RootModel[AnyRun]):
    """One run of any architecture, as `train_run` takes it."""
