"""Runs measured on the same books, ranked: differences are paired by book, which is far sharper than two intervals.

Books differ more from each other than runs do. A resample of the bootstrap draws the same books for all runs, so what
a hard book costs everyone cancels out of the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mamba_narrative.evaluation.bootstrap import Estimate, resampled_ratios, with_resamples

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """A metric of one run by book, float64 [books] each: it is the sum of ``scores`` / the sum of ``weights``."""

    scores: Floats
    weights: Floats


@dataclass(frozen=True)
class Standing:
    """The place of one run. ``behind``: how much worse than the best contender it is, None for that one itself."""

    run: str
    value: Estimate
    behind: Estimate | None
    is_best: bool
    """Better than every other contender, and no interval of a difference includes 0."""


def rank(
    sums: Mapping[str, Sums],
    better: str,
    samples: int,
    seed: int,
    contenders: Collection[str] | None = None,
    human: Sums | None = None,
) -> list[Standing]:
    """The runs from best to worst, with paired differences from the best.

    sums: by run, books in the same order in all. better: "lower", "higher" or "closer to human text", which compares
    the distances from ``human``. contenders: runs that may be best (all where None); the others are shown in their
    place. Runs without a value are left out. With too few books nothing has an
    interval, and no run is best.
    """
    runs = [run for run, of_run in sums.items() if of_run.weights.sum() != 0]
    rows = [sums[run] for run in runs] + ([] if human is None else [human])
    if not runs or (human is not None and human.weights.sum() == 0):
        return []
    tops, bottoms = np.stack([row.scores for row in rows]), np.stack([row.weights for row in rows])
    values = tops.sum(axis=1, keepdims=True) / bottoms.sum(axis=1, keepdims=True)
    draws = resampled_ratios(tops, bottoms, samples, seed)
    bad, bad_draws = (_badness(of_all, better, human is not None) for of_all in (values, draws))
    books = tops.shape[1]

    order = np.argsort(bad[:, 0], kind="stable").tolist()
    rivals = [place for place in order if contenders is None or runs[place] in contenders]
    first = rivals[0] if rivals else order[0]
    behind = {
        place: with_resamples(float(bad[place, 0] - bad[first, 0]), bad_draws[place] - bad_draws[first], books)
        for place in order
        if place != first
    }
    proven = len(rivals) > 1 and all(_is_above_zero(behind[place]) for place in rivals[1:])
    return [
        Standing(
            runs[place],
            with_resamples(float(values[place, 0]), draws[place], books),
            behind.get(place),
            proven and place == first,
        )
        for place in order
    ]


def _badness(values: Floats, better: str, has_human: bool) -> Floats:
    """The lower the better, [runs, columns] from values of the runs and, last, of human text where there is one."""
    if better == "lower":
        return values
    if better == "higher":
        return -values
    if not has_human:
        raise ValueError("a metric that is better closer to human text needs the measures of human text")
    return np.abs(values[:-1] - values[-1:])


def _is_above_zero(behind: Estimate) -> bool:
    return behind.interval is not None and behind.interval[0] > 0
