"""The whole configuration of an experiment: all sections, loaded and checked together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator

from mamba_narrative.config.base import Section, explain
from mamba_narrative.config.corpus import CorpusSettings
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.config.evaluation import EvaluationSettings
from mamba_narrative.config.report import ReportSettings
from mamba_narrative.config.runs import AnyRun
from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.config.tokens import TokensSettings
from mamba_narrative.config.training import LENGTHS, TrainingSettings
from mamba_narrative.errors import UserError

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED_RUN_NAMES = frozenset({"human", "ngram", "unigram", "untrained", "xz", "xz-after-training"})


class ExperimentSettings(Section):
    """One corpus, one results folder, any number of runs."""

    results_dir: str = "results"
    """Folder of everything generated."""
    corpus: CorpusSettings = CorpusSettings()
    """The raw books."""
    stripping: StrippingSettings = StrippingSettings()
    """Removal of boilerplate and apparatus."""
    selection: SelectionSettings = SelectionSettings()
    """Choice of English narrative prose."""
    duplicates: DuplicatesSettings = DuplicatesSettings()
    """Clusters of books that share text."""
    splits: SplitsSettings = SplitsSettings()
    """Training, validation and test books."""
    tokens: TokensSettings = TokensSettings()
    """Text to numbers."""
    training: TrainingSettings = TrainingSettings()
    """Recipe of every run; a run's own `training` overrides single keys."""
    runs: dict[str, AnyRun | None] = Field(min_length=1)
    """The named runs; null takes a run of a configuration below this one out."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """Measurements on held-out books."""
    report: ReportSettings = ReportSettings()
    """The page that people read."""

    @field_validator("runs")
    @classmethod
    def _runs_have_usable_names(cls, runs: dict[str, AnyRun | None]) -> dict[str, AnyRun | None]:
        for name in runs:
            if not RUN_NAME.fullmatch(name) or name in RESERVED_RUN_NAMES:
                raise ValueError(
                    f"run name {name!r}: expected up to 64 letters, digits, '.', '_', '-', "
                    f"and none of {', '.join(sorted(RESERVED_RUN_NAMES))} (they name baselines)"
                )
        if all(run is None for run in runs.values()):
            raise ValueError("every run is null; at least one is needed")
        return runs


def resolve_experiment(configuration: Mapping[str, Any]) -> ExperimentSettings:
    """Check a whole configuration and fill in defaults; each run gets its complete training settings.

    Raises UserError with one line a fault: key, value found, what was expected.
    """
    merged = dict(configuration)
    shared, runs = merged.get("training", {}), merged.get("runs")
    if isinstance(shared, Mapping) and isinstance(runs, Mapping):
        merged["runs"] = {name: _with_shared_training(run, shared) for name, run in runs.items()}
    try:
        return ExperimentSettings.model_validate(merged)
    except ValidationError as error:
        raise UserError("the configuration is not usable:\n  " + explain(error).replace("\n", "\n  ")) from None


def _with_shared_training(run: Any, shared: Mapping[str, Any]) -> Any:
    if not isinstance(run, Mapping) or not isinstance(run.get("training", {}), Mapping):
        return run
    own = run.get("training", {})
    if any(own.get(name) is not None for name in LENGTHS):
        shared = {name: value for name, value in shared.items() if name not in LENGTHS}
    return {**run, "training": {**shared, **own}}
