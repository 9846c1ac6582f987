"""What more context gains on the same targets, and how the state grows along a book."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mamba_narrative.reporting.sources import column, read_csv
from mamba_narrative.reporting.style import BASELINE_COLOUR, WIDTH_INCHES, legend_above, legend_height, run_line

INPUTS = (
    "evaluation/{run}/context.csv",
    "evaluation/{run}/state.csv",
    "evaluation/untrained/context.csv",
    "evaluation/untrained/state.csv",
)
"""Files below the results folder that this figure reads, for every run; those of the untrained model may be absent."""

_BASELINE = "untrained model"
_CONTEXT = ("context_tokens", "gain_nats", "gain_low", "gain_high")
_STATE = ("position", "state", "rms", "low", "high")
_NAME_HEIGHT = 0.05  # of the axes
_STYLES = ("-", (0, (1.5, 1.2)), (0, (5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))


def draw(results: Path, runs: Sequence[str]) -> Figure:
    """Above: gain from the whole book over each context; below: root mean square of the state along a book."""
    figure = Figure(figsize=(WIDTH_INCHES, 5.8 + legend_height([*runs, _BASELINE])), layout="constrained")
    gain, state = figure.subplots(2, 1)
    for position, run in enumerate(runs):
        folder, line = results / "evaluation" / run, run_line(position)
        _draw_gain(gain, folder / "context.csv", run, line)
        _draw_state(state, folder / "state.csv", run, line["color"])
    baseline = results / "evaluation" / "untrained"
    if (baseline / "context.csv").is_file():
        _draw_gain(gain, baseline / "context.csv", _BASELINE, {"color": BASELINE_COLOUR, "linestyle": ":"})
        _draw_state(state, baseline / "state.csv", _BASELINE, BASELINE_COLOUR)
    for axes, label in ((gain, "Context (tokens)"), (state, "Position in the book (tokens)")):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(LogLocator(base=2, numticks=8))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(label)
    gain.axhline(0, color=BASELINE_COLOUR, linewidth=0.7)
    gain.set_ylabel("Gain from the whole book (nats per token)")
    state.set_yscale("log")
    state.set_ylabel("State, root mean square")
    _name_kinds(state)
    legend_above(gain, [line for line in gain.get_lines() if not str(line.get_label()).startswith("_")])
    return figure


def _draw_gain(axes: Axes, path: Path, label: str, line: dict[str, Any]) -> None:
    rows = [row for row in read_csv(path, _CONTEXT) if row["context_tokens"].isdigit()]
    context, gain, low, high = (np.array(column(rows, name, path)) for name in _CONTEXT)
    axes.plot(context, gain, marker="o", markersize=3.2, label=label, **line)
    axes.fill_between(context, low, high, color=line["color"], alpha=0.16, linewidth=0)


def _draw_state(axes: Axes, path: Path, label: str, colour: str) -> None:
    """One line a kind of state."""
    rows = read_csv(path, _STATE)
    for number, kind in enumerate(dict.fromkeys(row["state"] for row in rows)):
        chosen = [row for row in rows if row["state"] == kind]
        position, rms, low, high = (np.array(column(chosen, name, path)) for name in ("position", "rms", "low", "high"))
        axes.plot(position, rms, color=colour, linestyle=_STYLES[number % len(_STYLES)], label=f"{label}, {kind}")
        axes.fill_between(position, low, high, color=colour, alpha=0.16, linewidth=0)


def _name_kinds(axes: Axes) -> None:
    """The name of each kind of state once, to the right of where its lines end, apart from the others."""
    ends: dict[str, list[float]] = {}
    for line in axes.get_lines():
        end = float(np.asarray(line.get_ydata(), np.float64)[-1])
        height = axes.transAxes.inverted().transform(axes.transData.transform((1.0, end)))[1]
        ends.setdefault(str(line.get_label()).rpartition(", ")[2], []).append(float(height))
    free = -np.inf
    for kind, heights in sorted(ends.items(), key=lambda item: np.mean(item[1])):
        free = max(free, float(np.mean(heights)))
        axes.text(1.01, free, kind, transform=axes.transAxes, fontsize=7, va="center", clip_on=False)
        free += _NAME_HEIGHT


def _tick(position: float) -> str:
    return f"{position / 1024:g}k" if position >= 1024 else f"{position:g}"
