"""What evaluations measured book by book, read so that runs can be compared on the same books."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamba_narrative.config.base import numbers_of
from mamba_narrative.config.evaluation import GROUPS, EvaluationSettings
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.evaluation.likelihood_report import BOOK_COLUMNS as LIKELIHOOD_COLUMNS
from mamba_narrative.evaluation.summary import BOOK_COLUMNS
from mamba_narrative.io import read_json
from mamba_narrative.reporting.sources import BASELINES, PUBLISHED, optional_json, read_csv

LIKELIHOOD = "likelihood"


@dataclass(frozen=True)
class Sum:
    """Of one metric and book: the metric is the sum of ``score`` over books / the sum of ``weight``."""

    score: float
    weight: float


@dataclass(frozen=True)
class Group:
    """One group of measurements of one run. ``asked``: settings that runs must share to be comparable."""

    asked: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Sum]]
    """By definition id and book id."""


@dataclass(frozen=True)
class Entry:
    """A run, baseline or published model of a results folder, and what people call it in a comparison."""

    label: str
    name: str
    results: Path

    @property
    def folder(self) -> Path:
        """Where its measurements are."""
        return self.results / "evaluation" / self.name

    def tokenizer(self) -> str:
        """Hash of the tokenizer of the test books; empty where the token files are not there."""
        manifest = optional_json(self.results / "tokens" / "test.json") or {}
        return manifest.get("tokenizer", {}).get("sha256", "")


def find_entries(folders: Sequence[Path], runs: Sequence[str] | None) -> list[Entry]:
    """The entries of results folders: ``runs`` (all that were measured where None), then the first folder's baselines.

    A run that several folders have is called after its folder too. Raises UserError where a folder has no evaluation,
    or none has one of ``runs``.
    """
    found: list[tuple[Path, str]] = []
    for results in folders:
        evaluation = results / "evaluation"
        if not evaluation.is_dir():
            raise UserError(f"{evaluation}: no such folder; expected results folders with evaluated runs (`snakemake`)")
        measured = [name for name in _measured(evaluation) if name not in BASELINES and (runs is None or name in runs)]
        found += [(results, name) for name in sorted(measured, key=lambda name: runs.index(name) if runs else 0)]
    names = [name for _, name in found]
    if missing := sorted(set(runs or ()) - set(names)):
        raise UserError(f"{', '.join(map(str, folders))}: no measurements of {', '.join(missing)}; evaluate them first")
    if not found:
        raise UserError(f"{', '.join(map(str, folders))}: no run was measured there")
    baselines = [name for name in BASELINES if name in _measured(folders[0] / "evaluation")]
    return [
        *(Entry(f"{results.name}/{name}" if names.count(name) > 1 else name, name, results) for results, name in found),
        *(Entry(name, name, folders[0]) for name in baselines),
    ]


def _measured(evaluation: Path) -> list[str]:
    """Names under `evaluation/` that have a group of measurements, published models under their folder."""
    folders = sorted({path.parent for group in GROUPS for path in evaluation.glob(f"**/{group}.json")})
    names = [folder.relative_to(evaluation).as_posix() for folder in folders]
    return [name for name in names if "/" not in name or name.startswith(PUBLISHED)]


def read_group(entry: Entry, group: str) -> Group | None:
    """One group of an entry; None where it was not measured, or before its sums by book were kept.

    Raises FileFormatError where a file is broken.
    """
    path, books = entry.folder / f"{group}.json", entry.folder / f"{group}_books.csv"
    if not path.is_file() or not books.is_file():
        return None
    settings = read_json(path).get("settings", {})
    section = getattr(EvaluationSettings(), group)
    not_asked = vars(section).keys() - numbers_of(section, without=("nothing", "summary"))
    metrics: dict[str, dict[str, Sum]] = {}
    for metric, book, found in _sums(books, group):
        metrics.setdefault(metric, {})[book] = found
    return Group({key: value for key, value in settings.items() if key not in not_asked}, metrics)


def _sums(path: Path, group: str) -> Iterator[tuple[str, str, Sum]]:
    rows = read_csv(path, LIKELIHOOD_COLUMNS if group == LIKELIHOOD else BOOK_COLUMNS)
    for line, row in enumerate(rows, start=2):
        try:
            if group == LIKELIHOOD:
                bits = float(row["nll_nats"]) / math.log(2)
                yield "bits_per_byte", row["book_id"], Sum(bits, float(row["bytes"]))
            else:
                yield row["metric"], row["book_id"], Sum(float(row["score"]), float(row["weight"]))
        except ValueError as error:
            raise FileFormatError(f"{path}:{line}: {error}") from None
