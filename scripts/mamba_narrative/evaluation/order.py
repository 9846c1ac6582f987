"""Can a model tell the order of a story from another order of the same sentences or paragraphs?

Candidates of a trial are the same tokens in another order, so their length and their words say nothing: models that
score each token by itself are at chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mamba_narrative.evaluation.passages import seed_of
from mamba_narrative.evaluation.scoring import Ids, Losses, Trial

# Sums of the same numbers in another order differ by rounding; closer scores are a tie.
_TIE = 1e-6


def shuffles(book_id: str, windows: Sequence[Sequence[Ids]], count: int, seed: int) -> list[Trial]:
    """Of each window a trial: the true order first, then ``count`` random orders that differ from it.

    The first unit stays in its place and is the prefix: what begins a text is often marked as such.
    """
    trials = []
    for number, window in enumerate(windows):
        generator = np.random.default_rng(seed_of(seed, book_id, number, "shuffle"))
        units = window[1:]
        orders = [np.arange(len(units))]
        while len(orders) <= count:
            order = generator.permutation(len(units))
            if (order != orders[0]).any():
                orders.append(order)
        candidates = tuple(np.concatenate([units[place] for place in order.tolist()]) for order in orders)
        trials.append(Trial(book_id, window[0], candidates))
    return trials


def exchanges(book_id: str, windows: Sequence[Sequence[Ids]]) -> list[tuple[Trial, Trial]]:
    """Of two windows a pair of trials: the middle sentence in its place, and that of the other window there.

    A candidate is the middle sentence and all that follows it; what comes before is the prefix.
    """
    return [
        (_exchange(book_id, one, other), _exchange(book_id, other, one))
        for one, other in zip(windows[::2], windows[1::2], strict=False)
    ]


def _exchange(book_id: str, window: Sequence[Ids], other: Sequence[Ids]) -> Trial:
    middle = len(window) // 2
    before, after = np.concatenate(window[:middle]), window[middle + 1 :]
    true, foreign = (np.concatenate([sentence, *after]) for sentence in (window[middle], other[middle]))
    return Trial(book_id, before, (true, foreign))


def pairwise_wins(losses: Sequence[Losses]) -> float:
    """Share of the other candidates that are less likely than the first; a tie counts one half."""
    true, *others = (float(candidate.sum()) for candidate in losses)
    return float(np.mean([_win(true, other) for other in others]))


def exchange_win(one: Sequence[Losses], other: Sequence[Losses]) -> float:
    """1 where both sentences in their places are more likely than exchanged, 0 where less, 1/2 for a tie.

    The losses of both trials are added, so that each sentence and each context counts on both sides.
    """
    right, wrong = (float(one[place].sum() + other[place].sum()) for place in (0, 1))
    return _win(right, wrong)


def _win(loss: float, other: float) -> float:
    if abs(loss - other) <= _TIE * max(1.0, abs(loss)):
        return 0.5
    return float(loss < other)
