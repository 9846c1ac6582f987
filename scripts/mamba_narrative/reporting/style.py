"""The one look of all figures, and saving them so that equal data give equal bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mamba_narrative.io import atomic_path

# Okabe and Ito (2008), "Color Universal Design": distinguishable with every common colour vision deficiency. Yellow is
# left out (too light for lines on white); black and grey are for baselines.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BASELINE_COLOUR = "#6b6b6b"
INK = "#26262a"
# Narrow enough that text can be read where a phone shows the whole figure.
WIDTH_INCHES = 5.6
_LEGEND_CHARACTERS = 71
_LINE_STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
_PARAMETERS: dict[Any, Any] = {
    "svg.hashsalt": "mamba-narrative",
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8a8a8f",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e7",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 100,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Matplotlib's own defaults with the project's style on top, whatever the user's matplotlibrc says."""
    # The figures never need a screen; they are made with Figure(), not pyplot, so Agg and SVG are used as they save.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_PARAMETERS)
        yield


def run_line(position: int) -> dict[str, Any]:
    """Colour and line style of the run at ``position`` of the list of runs; both differ for the first 24 runs."""
    return {
        "color": PALETTE[position % len(PALETTE)],
        "linestyle": _LINE_STYLES[position // len(PALETTE) % len(_LINE_STYLES)],
    }


def legend_above(axes: Axes, entries: Sequence[Artist]) -> None:
    """A legend in the space above ``axes``, so that it never covers data."""
    axes.legend(
        handles=entries,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=_legend_columns([str(entry.get_label()) for entry in entries]),
        borderaxespad=0.2,
        handlelength=3,
        columnspacing=1.6,
    )


def legend_height(labels: Sequence[str]) -> float:
    """Inches that a figure needs for the lines of its legend."""
    return 0.19 * math.ceil(len(labels) / _legend_columns(labels))


def _legend_columns(labels: Sequence[str]) -> int:
    """As many columns as fit the width of a figure, by the length of the longest label and of a line's sample."""
    return max(1, min(len(labels), _LEGEND_CHARACTERS // (max(map(len, labels)) + 8)))


def say_if_empty(axes: Axes, reason: str) -> None:
    """Write ``reason`` into axes whose curves with markers have no value, so that nobody takes them for broken."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines() if line.get_marker() != "None"]
    if not any(np.isfinite(values).any() for values in curves):
        axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=BASELINE_COLOUR)


def save_figure(figure: Figure, svg: Path, png: Path) -> None:
    """Write ``figure`` to both files, without dates, so that equal figures are equal files."""
    with figure_style():
        _settle_layout(figure)
        with atomic_path(svg) as beside:
            figure.savefig(beside, format="svg", metadata={"Date": None, "Creator": None})
        with atomic_path(png) as beside:
            figure.savefig(beside, format="png", dpi=200, metadata={"Software": None})


def _settle_layout(figure: Figure) -> None:
    """Lay the figure out once and round the places of its axes.

    The solver behind the constrained layout visits its variables in the order of their addresses in memory, so that the
    last bits of its results differ from one drawing to the next.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(value, 5) for value in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))
