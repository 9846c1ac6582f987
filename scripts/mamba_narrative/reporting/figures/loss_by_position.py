"""Loss by how far into a held-out book the token is: does the model profit from what it has read?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mamba_narrative.errors import FileFormatError
from mamba_narrative.reporting.sources import column, read_csv
from mamba_narrative.reporting.style import BASELINE_COLOUR, WIDTH_INCHES, legend_above, legend_height, run_line

INPUTS = ("evaluation/{run}/position.csv", "evaluation/unigram/position.csv")
"""Files below the results folder that this figure reads, for every run; the baseline's may be absent."""

_BASELINE = "unigram baseline"
_REQUIRED = ("position_from", "position_to", "loss_nats", "low", "high")


def draw(results: Path, runs: Sequence[str]) -> Figure:
    """Mean loss in nats per token in each range of positions, with its 95 % interval over books as a band."""
    figure = Figure(figsize=(WIDTH_INCHES, 4.0 + legend_height([*runs, _BASELINE])), layout="constrained")
    axes = figure.add_subplot()
    for position, run in enumerate(runs):
        _draw_curve(axes, results / "evaluation" / run / "position.csv", run, run_line(position))
    baseline = results / "evaluation" / "unigram" / "position.csv"
    if baseline.is_file():
        _draw_curve(axes, baseline, _BASELINE, {"color": BASELINE_COLOUR, "linestyle": ":"})
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Position in the book (tokens, logarithmic)")
    axes.set_ylabel("Loss (nats per token)")
    legend_above(axes, axes.get_lines())
    return figure


def _draw_curve(axes: Axes, path: Path, label: str, line: dict[str, Any]) -> None:
    rows = read_csv(path, _REQUIRED)
    if not rows:
        raise FileFormatError(f"{path}: no rows; evaluate the likelihood of this run again")
    first, last, loss, low, high = (np.array(column(rows, name, path)) for name in _REQUIRED)
    # Positions count from 0 and a range ends before `position_to`: the geometric middle of first + 1 ... last.
    middle = np.sqrt((first + 1) * np.maximum(last, first + 1))
    axes.plot(middle, loss, marker="o", markersize=3.2, label=label, **line)
    axes.fill_between(middle, low, high, color=line["color"], alpha=0.16, linewidth=0)


def _tick(position: float) -> str:
    """``4096`` as ``4k``; powers of two below 1,024 as they are."""
    return f"{position / 1024:g}k" if position >= 1024 else f"{position:g}"
