"""Intervals by resampling books: sentences of one book are alike, so books are the independent units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mamba_narrative.evaluation.definitions import DEFINITIONS

_TAILS = (0.025, 0.975)
_INDICES_AT_ONCE = 4_000_000
MIN_BOOKS = 5
"""Fewer books give no interval: resamples of so few are too alike, and the interval too narrow."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval and the number of books behind both; ``reason`` says why one is missing."""

    value: float | None
    interval: tuple[float, float] | None
    n: int
    reason: str | None = None

    def transformed(self, function: Callable[[float], float]) -> Estimate:
        """The same estimate on the scale of an increasing ``function``, which may overflow."""
        if self.value is None:
            return self
        try:
            value = function(self.value)
            interval = None if self.interval is None else (function(self.interval[0]), function(self.interval[1]))
        except OverflowError:
            return Estimate(None, None, self.n, "too large for a floating-point number")
        return replace(self, value=value, interval=interval)

    def record(self, definition: str) -> dict[str, object]:
        """The form in which result files hold a metric. Raises KeyError for an unknown definition id."""
        entry: dict[str, object] = {
            "definition": definition,
            "value": self.value,
            "n": self.n,
            "unit": DEFINITIONS[definition].unit,
            "interval_95": None if self.interval is None else list(self.interval),
        }
        return entry if self.reason is None else {**entry, "reason": self.reason}


def ratio_of_sums(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    samples: int,
    seed: int,
) -> Estimate:
    """sum(numerators) / sum(denominators), one pair a book, with the percentile interval of the bootstrap.

    Each of ``samples`` resamples draws as many books as there are, with replacement, and forms the ratio of its sums
    (Efron and Tibshirani 1993, chapter 13). With fewer than ``MIN_BOOKS`` books there is no interval.
    """
    tops, bottoms = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    books = len(tops)
    if bottoms.sum() == 0:
        return Estimate(None, None, books, "its denominator is 0 in all books")
    value = float(tops.sum() / bottoms.sum())
    (ratios,) = resampled_ratios(tops[None], bottoms[None], samples, seed)
    return with_resamples(value, ratios, books)


def resampled_ratios(
    tops: npt.NDArray[np.float64], bottoms: npt.NDArray[np.float64], samples: int, seed: int
) -> npt.NDArray[np.float64]:
    """Ratios of sums float64 [runs, samples] from [runs, books]; a resample draws the same books for all runs.

    Not finite where a resample consists of books without a denominator.
    """
    generator, books = np.random.default_rng(seed), tops.shape[1]
    at_once = max(1, _INDICES_AT_ONCE // tops.size)
    ratios = []
    for start in range(0, samples, at_once):
        chosen = generator.integers(books, size=(min(at_once, samples - start), books))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(tops[:, chosen].sum(axis=2) / bottoms[:, chosen].sum(axis=2))
    return np.concatenate(ratios, axis=1)


def with_resamples(value: float, resampled: npt.NDArray[np.float64], books: int) -> Estimate:
    """``value`` with its percentile interval from resamples of ``books``, float64 [samples]; none of too few books.

    Resamples that are not finite do not count.
    """
    if books < MIN_BOOKS:
        found = "1 book gives" if books == 1 else f"{books} books give"
        return Estimate(value, None, books, f"{found} no interval; at least {MIN_BOOKS} are needed")
    low, high = np.quantile(resampled[np.isfinite(resampled)], _TAILS)
    # Rounding may put the value of equal books just outside.
    return Estimate(value, (min(float(low), value), max(float(high), value)), books)
