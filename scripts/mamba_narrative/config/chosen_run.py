"""One run of a configuration, with single settings changed on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mamba_narrative.config.base import explain
from mamba_narrative.config.experiment import resolve_experiment
from mamba_narrative.config.runs import AnyRun, RunSettings
from mamba_narrative.errors import UserError
from mamba_narrative.strict_yaml import parse_yaml, read_yaml


def chosen_run(configurations: Sequence[Path], name: str, changes: Sequence[str]) -> AnyRun:
    """The run ``name`` of YAML files, the later ones on top, with each change ``section.key=value`` made.

    Raises UserError for a file, run, key or value that cannot be used.
    """
    merged: dict[str, Any] = {}
    for path in configurations:
        _merge(merged, read_yaml(path))
    experiment = resolve_experiment(merged)
    run = experiment.runs.get(name)
    if run is None:
        names = ", ".join(name for name, run in experiment.runs.items() if run is not None)
        raise UserError(f"--run {name}: the configuration has no such run; it has {names}")
    settings = run.model_dump(mode="json")
    for change in changes:
        keys, equals, value = change.partition("=")
        *sections, last = keys.split(".")
        place = settings
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict) or last not in place:
            raise UserError(f"--set {change}: expected section.key=value, such as training.learning_rate=0.002")
        place[last] = parse_yaml(value, f"--set {change}")
    try:
        return RunSettings.model_validate(settings).root
    except ValidationError as error:
        raise UserError(f"--set {' '.join(changes)}: {explain(error)}") from None


def _merge(target: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value
