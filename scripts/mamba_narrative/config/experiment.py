"""The whole configuration of an experiment: all sections, loaded and checked together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from mamba_narrative.config.base import NAME, Section, explain
from mamba_narrative.config.corpus import CorpusSettings
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.config.evaluation import EvaluationSettings
from mamba_narrative.config.folders import check_folders
from mamba_narrative.config.paths import ConfiguredPath
from mamba_narrative.config.report import ReportSettings
from mamba_narrative.config.runs import AnyRun
from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.config.tokens import TokensSettings
from mamba_narrative.config.training import LENGTHS, TrainingSettings
from mamba_narrative.errors import UserError

RESERVED_RUN_NAMES = frozenset(
    {"compressor", "human", "ngram", "published", "unigram", "untrained", "xz", "xz-after-training"}
)
"""Folders and logs beside those of the runs; in any capitals, since some file systems do not tell them apart."""
_PROJECT = Path(__file__).resolve().parents[3]
_LONGEST_SECTION_BYTES = 100_000
"""A section is one argument of a command, which Linux limits to 128 KiB with all the others."""


class ExperimentSettings(Section):
    """One corpus, one results folder, any number of runs."""

    results_dir: ConfiguredPath = "results"
    """Folder of everything generated, and of nothing else; relative to where snakemake is started."""
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
    runs: dict[str, AnyRun | None] = Field(min_length=1, max_length=1_000)
    """The named runs; null takes a run of a configuration below this one out."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """Measurements on held-out books."""
    report: ReportSettings = ReportSettings()
    """The page that people read."""

    @field_validator("runs")
    @classmethod
    def _runs_have_usable_names(cls, runs: dict[str, AnyRun | None]) -> dict[str, AnyRun | None]:
        for name in runs:
            if not re.fullmatch(NAME, name) or _reserved(name):
                raise ValueError(
                    f"run name {name!r}: expected up to 64 letters, digits, '.', '_', '-', the first no sign, the last "
                    f"no '.', and none of {', '.join(sorted(RESERVED_RUN_NAMES))} (they name baselines)"
                )
        if all(run is None for run in runs.values()):
            raise ValueError("every run is null; at least one is needed")
        return runs

    @model_validator(mode="after")
    def _names_differ_in_more_than_capitals(self) -> ExperimentSettings:
        names = [name for name, run in self.runs.items() if run is not None]
        names += [model.name for model in self.evaluation.published]
        counts = Counter(name.casefold() for name in names)
        if alike := [name for name in names if counts[name.casefold()] > 1]:
            raise ValueError(f"runs, evaluation.published: {', '.join(alike)} need names that differ, capitals aside")
        if reserved := [model.name for model in self.evaluation.published if _reserved(model.name)]:
            raise ValueError(f"evaluation.published: {reserved[0]} names a baseline; choose another name")
        return self

    @model_validator(mode="after")
    def _sections_fit_on_a_command_line(self) -> ExperimentSettings:
        for name, section in self:
            if isinstance(section, Section) and (size := len(section.model_dump_json())) > _LONGEST_SECTION_BYTES:
                raise ValueError(
                    f"{name}: takes {size:,} bytes; at most {_LONGEST_SECTION_BYTES:,} can be handed to a command "
                    "(for many ids use corpus.lock)"
                )
        return self


def _reserved(name: str) -> bool:
    """Whether a folder ``name`` would stand where a baseline's folder, log (.log) or run time (.tsv) does."""
    return name.casefold().removesuffix(".log").removesuffix(".tsv") in RESERVED_RUN_NAMES


def resolve_experiment(
    configuration: Mapping[str, Any], *, start: Path | None = None, project: Path | None = None
) -> ExperimentSettings:
    """Check a whole configuration and fill in defaults; each run gets its complete training settings.

    start: the folder that relative paths begin at (default: the current one); project: the folder of the Snakefile,
    whose own folders take no results (default: the one that this library lies in). Raises UserError with one line a
    fault: key, value found, what was expected.
    """
    merged = dict(configuration)
    shared, runs = merged.get("training", {}), merged.get("runs")
    if isinstance(shared, Mapping) and isinstance(runs, Mapping):
        merged["runs"] = {name: _with_shared_training(run, shared) for name, run in runs.items()}
    try:
        experiment = ExperimentSettings.model_validate(merged)
        check_folders(experiment.results_dir, experiment.corpus.directory, start or Path.cwd(), project or _PROJECT)
    except ValidationError as error:
        raise UserError("the configuration is not usable:\n  " + explain(error).replace("\n", "\n  ")) from None
    return experiment


def _with_shared_training(run: Any, shared: Mapping[str, Any]) -> Any:
    if not isinstance(run, Mapping) or not isinstance(run.get("training", {}), Mapping):
        return run
    own = run.get("training", {})
    if any(own.get(name) is not None for name in LENGTHS):
        shared = {name: value for name, value in shared.items() if name not in LENGTHS}
    return {**run, "training": {**shared, **own}}
