"""Measured values, one row a run and metric. From `evaluation/<run>/<table>.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamba_narrative.errors import FileFormatError
from mamba_narrative.reporting.tables.table import Column, Schema, Table

COLUMNS = (
    Column("run", "Run"),
    Column("metric", "Metric"),
    Column("definition", "Definition"),
    Column("value", "Value", "number"),
    Column("interval_low", "95 % interval, low", "number"),
    Column("interval_high", "95 % interval, high", "number"),
    Column("n", "n", "count"),
    Column("unit", "Unit"),
)
LIKELIHOOD = Schema("likelihood", "Likelihood of whole held-out books.", COLUMNS)
GENERATION = Schema("generation", "Continuations of passages from held-out books.", COLUMNS)

STRUCTURE = Schema("structure", "The true course of held-out books against another.", COLUMNS)
WORDS = Schema("words", "Words that need the story, in held-out books.", COLUMNS)

TASKS = Schema(
    "tasks",
    "Tasks of lm-evaluation-harness on the exported models. Standard errors are over the cases of a task.",
    (
        Column("run", "Run"),
        Column("task", "Task"),
        Column("version", "Version"),
        Column("metric", "Metric"),
        Column("better", "Better"),
        Column("value", "Value", "number"),
        Column("standard_error", "Standard error", "number"),
        Column("n", "n", "count"),
    ),
)


def likelihood_table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """How surprising the held-out books are, by run (and baselines), in the order given."""
    return measured_table(LIKELIHOOD, reports)


def generation_table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """Repetition and diversity of continuations, by run (and baselines), in the order given."""
    return measured_table(GENERATION, reports)


def structure_table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """Whether the true course of the books is more likely, by run (and baselines), in the order given."""
    return measured_table(STRUCTURE, reports)


def words_table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """Last words and names met again, by run (and baselines), in the order given."""
    return measured_table(WORDS, reports)


def tasks_table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """Values of tasks, by run in the order given; ``reports``: `tasks.json` by run."""
    return Table(TASKS, tuple({"run": run, **row} for run, report in reports.items() for row in report["tasks"]))


def measured_table(schema: Schema, reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a run and metric of its reports."""
    rows = [row for run, report in reports.items() for row in _rows(schema.name, run, report)]
    return Table(schema, tuple(rows))


def _rows(name: str, run: str, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    metrics = report.get("metrics")
    if not isinstance(metrics, Mapping):
        raise FileFormatError(f"evaluation/{run}/{name}.json: no object `metrics`; run its evaluation again")
    rows = []
    for metric, measured in metrics.items():
        low, high = measured.get("interval_95") or (None, None)
        rows.append(
            {
                "run": run,
                "metric": metric,
                "definition": measured.get("definition", metric),
                "value": measured["value"],
                "interval_low": low,
                "interval_high": high,
                "n": measured["n"],
                "unit": measured.get("unit", ""),
            }
        )
    return rows
