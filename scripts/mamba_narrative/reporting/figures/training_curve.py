"""Training and validation loss against tokens seen, all runs in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from mamba_narrative.errors import FileFormatError
from mamba_narrative.reporting.sources import column, number, read_csv
from mamba_narrative.reporting.style import BASELINE_COLOUR, WIDTH_INCHES, legend_above, legend_height, run_line

INPUTS = ("runs/{run}/train.csv", "runs/{run}/validation.csv")
"""Files below the results folder that this figure reads, for every run."""

_MOST_POINTS = 1_500
_WINDOW_SHARE = 0.02
_SHORTEST_WINDOW = 5
_MOST_HIDDEN = 0.1
Values = NDArray[np.float64]


def draw(results: Path, runs: Sequence[str]) -> Figure:
    """Loss in nats per token; a second axis in bits per byte where it is the same conversion for all runs."""
    entries = _legend_entries(runs)
    height = 4.1 + legend_height([str(entry.get_label()) for entry in entries])
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.add_subplot()
    conversions: list[float] = []
    curves: list[Values] = []
    first_validations: list[float] = []
    for position, run in enumerate(runs):
        line = run_line(position)
        train_path, validation_path = (results / "runs" / run / name for name in ("train.csv", "validation.csv"))
        train = read_csv(train_path, ("tokens", "loss_nats"))
        if not train:
            raise FileFormatError(f"{train_path}: no rows; the run logged no step. Train it again")
        tokens = np.array(column(train, "tokens", train_path))
        loss = np.array(column(train, "loss_nats", train_path))
        window = max(_SHORTEST_WINDOW, round(_WINDOW_SHARE * len(loss)))
        axes.plot(*thinned(tokens, loss), color=line["color"], alpha=0.35, linewidth=0.7)
        curves.append(smoothed(loss, window))
        axes.plot(*thinned(tokens, curves[-1]), label=f"{run}, training", **line)
        validation = read_csv(validation_path, ("tokens", "loss_nats", "bits_per_byte"))
        if validation:
            axes.plot(
                column(validation, "tokens", validation_path),
                column(validation, "loss_nats", validation_path),
                color=line["color"],
                linestyle="none",
                marker="o",
                markersize=4.5,
                markerfacecolor="white",
                markeredgewidth=1.3,
                label=f"{run}, validation",
            )
            conversions += bytes_per_token_factors(validation)
            first_validations.append(column(validation, "loss_nats", validation_path)[0])
    axes.set_xlabel("Training tokens seen (tokens)")
    axes.set_ylabel("Loss (nats per token)")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    _leave_out_the_start(axes, curves, first_validations)
    legend_above(axes, entries)
    _add_bits_per_byte(axes, conversions)
    return figure


def _leave_out_the_start(axes: Axes, curves: Sequence[Values], first_validations: Sequence[float]) -> None:
    """End the axis a little above the first validation, where only few steps of each run lie higher: their fall would
    press together all that follows.
    """
    top = 1.04 * max(first_validations, default=np.inf)
    hidden = [float(np.mean(curve > top)) for curve in curves]
    if 0 < max(hidden) <= _MOST_HIDDEN:
        axes.set_ylim(top=top)
        note = f"the first {max(hidden):.0%} of the steps are above"
        axes.annotate(
            note, (0.98, 0.99), xycoords="axes fraction", ha="right", va="top", fontsize=7, color=BASELINE_COLOUR
        )


def _legend_entries(runs: Sequence[str]) -> list[Line2D]:
    """One line a run by its colour, then in grey what lines and circles mean."""
    circle: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4.5, "markerfacecolor": "white"}
    return [
        *(Line2D([], [], label=run, **run_line(position)) for position, run in enumerate(runs)),
        Line2D([], [], color=BASELINE_COLOUR, label="training (smoothed)"),
        Line2D([], [], color=BASELINE_COLOUR, label="validation", **circle),
    ]


def smoothed(values: Values, window: int) -> Values:
    """Centred mean over up to ``window`` steps, fewer at both ends; missing values (nan) are left out of the mean."""
    before, after = (window - 1) // 2, window // 2 + 1
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    positions = np.arange(len(values))
    first, last = np.maximum(positions - before, 0), np.minimum(positions + after, len(values))
    total = counts[last] - counts[first]
    means = (sums[last] - sums[first]) / np.maximum(total, 1)
    return np.where(total > 0, means, np.nan)


def thinned(x: Values, y: Values) -> tuple[Values, Values]:
    """At most ``_MOST_POINTS`` points that keep every peak: of each stretch its lowest and its highest value."""
    if len(x) <= _MOST_POINTS:
        return x, y
    kept: set[int] = {0, len(x) - 1}
    for stretch in np.array_split(np.arange(len(x)), _MOST_POINTS // 2 - 1):
        known = stretch[np.isfinite(y[stretch])]
        if len(known):
            kept |= {int(known[np.argmin(y[known])]), int(known[np.argmax(y[known])])}
    order = np.array(sorted(kept))
    return x[order], y[order]


def bytes_per_token_factors(validation: Sequence[dict[str, str]]) -> list[float]:
    """Bits per byte for one nat per token, from each validation: tokens / (bytes ln 2) of its text."""
    pairs = [(number(row["loss_nats"]), number(row["bits_per_byte"])) for row in validation]
    return [bits / nats for nats, bits in pairs if nats and bits]


def _add_bits_per_byte(axes: Axes, conversions: Sequence[float]) -> None:
    """A right axis in bits per byte, only where all runs were validated on text with one ratio of tokens to bytes."""
    if not conversions or max(conversions) > 1.005 * min(conversions):
        return
    factor = sum(conversions) / len(conversions)

    def to_bits_per_byte(nats: Any) -> Any:
        return nats * factor

    def to_nats(bits: Any) -> Any:
        return bits / factor

    right = axes.secondary_yaxis("right", functions=(to_bits_per_byte, to_nats))
    right.set_ylabel("Validation loss (bits per byte)")
    right.spines["right"].set_visible(True)
