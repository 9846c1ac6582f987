"""Tables of a published baseline as Markdown, and how they get into pages for people.

A page holds lines ``<!-- baseline: NAME -->`` and ``<!-- /baseline -->``; what stands between them is written anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mamba_narrative.config.evaluation import GROUPS
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.definitions import DEFINITIONS
from mamba_narrative.io import read_json
from mamba_narrative.reporting.comparison import Cell, compare
from mamba_narrative.reporting.sources import BASELINES, optional_json
from mamba_narrative.reporting.tables.evaluation import COLUMNS, measured_table
from mamba_narrative.reporting.tables.headline import headline_table
from mamba_narrative.reporting.tables.runs import RUNS, runs_table
from mamba_narrative.reporting.tables.table import Schema, Table, markdown_grid, to_markdown

_BLOCK = re.compile(r"(<!-- baseline: ([^\n]*) -->\n)((?:(?!<!-- baseline: ).)*?)(<!-- /baseline -->)", re.DOTALL)
_OF_TRAINING = {
    *("run", "parameters", "seed", "steps", "weights_of_step", "tokens_seen", "epochs", "seconds", "tokens_per_second"),
    *("mfu", "energy_kwh", "resumed", "validation_bits_per_byte"),
}


def update_page(page: str, baseline: Path) -> str:
    """``page`` with its blocks written anew from the folder ``baseline``.

    Raises UserError for an unknown name, a block that does not end, or a folder that is no published baseline.
    """

    def written(block: re.Match[str]) -> str:
        if block[2] not in TABLES:
            raise UserError(f"<!-- baseline: {block[2]} -->: no table is called so; there are {', '.join(TABLES)}")
        return f"{block[1]}{TABLES[block[2]](baseline)}{block[4]}"

    updated, blocks = _BLOCK.subn(written, page)
    if blocks != page.count("<!-- baseline: "):
        raise UserError("a line <!-- baseline: NAME --> has no <!-- /baseline --> after it")
    return updated


def training(baseline: Path) -> str:
    """What each run cost and where its validation ended, one row a run."""
    records = [read_json(baseline / "runs" / run / "run.json") for run in _runs(baseline)]
    shown = Schema("training", "", tuple(column for column in RUNS.columns if column.key in _OF_TRAINING))
    return to_markdown(Table(shown, runs_table(records).rows)).lstrip()


def headline(baseline: Path) -> str:
    """The headline metrics of all runs and baselines, one row a metric."""
    return _measures(headline_table(_measured(baseline)).rows)


def all_measures(baseline: Path) -> str:
    """All metrics with their ids."""
    order = list(DEFINITIONS)
    rows = [row for table in _measured(baseline) for row in table.rows]
    return _measures(sorted(rows, key=lambda row: order.index(row["metric"])), ids=True)


TABLES: dict[str, Callable[[Path], str]] = {"headline": headline, "all": all_measures, "training": training}


def _measures(rows: Iterable[Mapping[str, Any]], ids: bool = False) -> str:
    """Runs side by side, baselines after them."""
    comparison = compare(rows)
    runs = sorted(comparison.rows, key=lambda row: row.is_baseline)
    lines = [
        [
            f"{heading.name} (`{heading.metric}`)" if ids else heading.name,
            heading.definition.better if heading.definition else "",
            *(_text(run.cells[column]) for run in runs),
        ]
        for column, heading in enumerate(comparison.headings)
    ]
    return markdown_grid(["Measure", "Better", *(run.label for run in runs)], [True, *[False] * (len(runs) + 1)], lines)


def _text(cell: Cell | None) -> str:
    return "–" if cell is None else f"{cell.value} ({cell.interval})"


def _runs(baseline: Path) -> list[str]:
    """By name. Raises UserError where there is none."""
    runs = sorted(path.parent.name for path in baseline.glob("runs/*/run.json"))
    if not runs:
        raise UserError(f"{baseline}: holds no runs/*/run.json; expected a folder that publish_baseline.py wrote")
    return runs


def _measured(baseline: Path) -> list[Table]:
    """A table a group of measurements; a run may be without some."""
    names = (*_runs(baseline), *BASELINES)
    tables = []
    for group in GROUPS:
        found = {name: optional_json(baseline / "evaluation" / name / f"{group}.json") for name in names}
        reports = {name: report for name, report in found.items() if report is not None}
        tables.append(measured_table(Schema(group, "", COLUMNS), reports))
    return tables
