"""How often the opening of the next chapter is found among six, by the text before it that is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
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

INPUTS = ("evaluation/{run}/chapters.csv", "evaluation/unigram/chapters.csv")
"""Files below the results folder that this figure reads, for every run; the baseline's may be absent."""

_BASELINE, _CHANCE = "unigram baseline", "chance"
_REQUIRED = ("prefix_tokens", "accuracy", "low", "high")


def draw(results: Path, runs: Sequence[str]) -> Figure:
    """Share of chapters identified at each limit of the prefix, with its 95 % interval over books as a band."""
    figure = Figure(figsize=(WIDTH_INCHES, 3.6 + legend_height([*runs, _BASELINE, _CHANCE])), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(1 / 6, color=BASELINE_COLOUR, linewidth=0.9, label=_CHANCE)
    ticks: set[float] = set()
    for position, run in enumerate(runs):
        ticks |= _draw_curve(axes, results / "evaluation" / run / "chapters.csv", run, run_line(position))
    baseline = results / "evaluation" / "unigram" / "chapters.csv"
    if baseline.is_file():
        ticks |= _draw_curve(axes, baseline, _BASELINE, {"color": BASELINE_COLOUR, "linestyle": ":"})
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylim(0, 1)
    axes.set_xlabel("Tokens read before the chapter (at most, logarithmic)")
    axes.set_ylabel("Chapters identified (share)")
    say_if_empty(axes, "no test book has six long enough chapters")
    legend_above(axes, axes.get_lines())
    return figure


def _draw_curve(axes: Axes, path: Path, label: str, line: dict[str, Any]) -> set[float]:
    rows = read_csv(path, _REQUIRED)
    prefix, accuracy, low, high = (np.array(column(rows, name, path)) for name in _REQUIRED)
    axes.plot(prefix, accuracy, marker="o", markersize=3.2, label=label, **line)
    axes.fill_between(prefix, low, high, color=line["color"], alpha=0.16, linewidth=0)
    return set(prefix.tolist())
