"""How much less a name costs when it is met again, by how long ago it was last mentioned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from mamba_narrative.reporting.sources import column, read_csv
from mamba_narrative.reporting.style import (
    BASELINE_COLOUR,
    WIDTH_INCHES,
    legend_above,
    legend_height,
    run_line,
    say_if_empty,
)

INPUTS = ("evaluation/{run}/name_recall.csv",)
"""Files below the results folder that this figure reads, for every run."""

_NOTHING = "no recall"
_REQUIRED = ("distance_from", "gain_nats", "low", "high")


def draw(results: Path, runs: Sequence[str]) -> Figure:
    """Gain over the first mention in nats in each range of distances, with its 95 % interval over books as a band."""
    figure = Figure(figsize=(WIDTH_INCHES, 3.6 + legend_height([*runs, _NOTHING])), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color=BASELINE_COLOUR, linewidth=0.9, label=_NOTHING)
    ticks: set[float] = set()
    for position, run in enumerate(runs):
        path = results / "evaluation" / run / "name_recall.csv"
        rows = read_csv(path, _REQUIRED)
        first, gain, low, high = (np.array(column(rows, name, path)) for name in _REQUIRED)
        line = run_line(position)
        axes.plot(first, gain, marker="o", markersize=3.2, label=run, **line)
        axes.fill_between(first, low, high, color=line["color"], alpha=0.16, linewidth=0)
        ticks |= set(first.tolist())
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("Tokens since the last mention, at least (logarithmic)")
    axes.set_ylabel("Gain (nats per mention)")
    say_if_empty(axes, "no name is met again")
    legend_above(axes, axes.get_lines())
    return figure
