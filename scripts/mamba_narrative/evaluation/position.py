"""Loss by how far into a book a token is.

The position of a token is the number of tokens of its book before it. Ranges double: position 0, then 1-2, 3-6,
7-14 ..., which are the 1st, the 2nd-3rd, the 4th-7th, the 8th-15th token of a book.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def range_count(tokens: int) -> int:
    """Number of ranges that the positions of ``tokens`` tokens fall into."""
    return tokens.bit_length()


def range_limits(number: int) -> tuple[int, int]:
    """First position of a range and the first one after it."""
    return (1 << number) - 1, (2 << number) - 1


def sum_by_range(start: int, values: npt.NDArray[np.float64], ranges: int) -> npt.NDArray[np.float64]:
    """Sums float64 [ranges] of ``values``, which belong to the positions from ``start`` on."""
    ranks = np.arange(start + 1, start + 1 + len(values))
    # The exponent that frexp gives is exact, unlike a rounded logarithm.
    return np.bincount(np.frexp(ranks)[1] - 1, weights=values, minlength=ranges).astype(np.float64)
