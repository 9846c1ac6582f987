"""Tables of a published baseline as Markdown, and how they get into pages for people.

A page holds lines ``<!-- baseline: NAME -->`` and ``<!-- /baseline -->``; what stands between them is written anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.definitions import DEFINITIONS, HEADLINE
from mamba_narrative.io import read_json
from mamba_narrative.reporting.formatting import amount, count, duration, percent, significant, with_interval
from mamba_narrative.reporting.measured_books import GROUPS
from mamba_narrative.reporting.sources import BASELINES, optional_json, read_csv

_NOTHING = "–"
_BLOCK = re.compile(r"(<!-- baseline: ([a-z]+) -->\n).*?(<!-- /baseline -->)", re.DOTALL)


def update_page(page: str, baseline: Path) -> str:
    """``page`` with its blocks written anew from the folder ``baseline``. Raises UserError for an unknown name."""

    def written(block: re.Match[str]) -> str:
        if block[2] not in TABLES:
            raise UserError(f"<!-- baseline: {block[2]} -->: no table is called so; there are {', '.join(TABLES)}")
        return f"{block[1]}{TABLES[block[2]](baseline)}{block[3]}"

    return _BLOCK.sub(written, page)


def headline_table(baseline: Path) -> str:
    """The headline metrics of all runs and baselines, one row a metric."""
    return _measures(baseline, list(HEADLINE))


def all_table(baseline: Path) -> str:
    """All metrics with their ids."""
    return _measures(baseline, list(DEFINITIONS), ids=True)


def training_table(baseline: Path) -> str:
    """What each run cost and where its validation ended, one row a run."""
    rows = []
    for name in _runs(baseline):
        folder = baseline / "runs" / name
        record = read_json(folder / "run.json")
        losses = [float(row["bits_per_byte"]) for row in read_csv(folder / "validation.csv", ["bits_per_byte"])]
        energy = record.get("energy_kwh")
        rows.append(
            [
                *(name, count(record["parameters"]), count(record["steps"]), count(record["weights_of_step"])),
                *(f"{amount(record['tokens_seen'])} ({record['epochs']:.1f})", duration(record["seconds"])),
                *(count(record["tokens_per_second"]), percent(record["share_of_peak_flops"], 0)),
                *(significant(energy, 2) if energy is not None else _NOTHING, count(record["resumed"])),
                significant(min(losses)),
            ]
        )
    heading = ["run", "parameters", "steps", "best at step", "tokens seen (epochs)", "time in updates", "tokens/s"]
    return _markdown([*heading, "of peak", "kWh", "resumed", "best validation, bits/byte"], rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "headline": headline_table,
    "all": all_table,
    "training": training_table,
}


def _measures(baseline: Path, metrics: Sequence[str], ids: bool = False) -> str:
    measured = _measured(baseline)
    names = [name for name in (*_runs(baseline), *BASELINES) if measured.get(name, {}).keys() & set(metrics)]
    rows = []
    for metric in metrics:
        cells = [_cell(measured[name].get(metric)) for name in names]
        if any(cell != _NOTHING for cell in cells):
            definition = DEFINITIONS[metric]
            what = f"{definition.name} (`{metric}`)" if ids else definition.name
            rows.append([what, definition.better, *cells])
    return _markdown(["measure", "better", *names], rows)


def _runs(baseline: Path) -> list[str]:
    """In the order of their names, a run before the ones called after it."""
    return sorted(path.parent.name for path in baseline.glob("runs/*/run.json"))


def _measured(baseline: Path) -> dict[str, dict[str, Mapping[str, Any]]]:
    """By run or baseline what was measured, by definition."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for folder in sorted(path for path in (baseline / "evaluation").iterdir() if path.is_dir()):
        for group in GROUPS:
            for metric, measure in ((optional_json(folder / f"{group}.json") or {}).get("metrics") or {}).items():
                found.setdefault(folder.name, {})[measure.get("definition", metric)] = measure
    return found


def _cell(measure: Mapping[str, Any] | None) -> str:
    if measure is None or measure["value"] is None:
        return _NOTHING
    low, high = measure.get("interval_95") or (None, None)
    value, interval = with_interval(measure["value"], low, high)
    return f"{value} ({interval})" if interval else value


def _markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, [":--", *["--:"] * (len(heading) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
