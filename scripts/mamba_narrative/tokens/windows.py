"""Training windows over whole books, in a seeded order that can be entered anywhere.

A book of ``n`` tokens (its end of text included) has ``n`` targets; the first is predicted from an end-of-text token
put before the book, the same start that evaluation uses. The targets are cut into windows of ``sequence_length``, the
last of a book padded. So every token of every book is a target exactly once an epoch, no window crosses a book, and
what padding costs is less than one window a book.

An epoch visits its windows in a pseudo-random permutation computed from the seed and the epoch's number, window by
window: nothing is stored or replayed to continue at any position.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mamba_narrative.tokens.reader import BookTokens

IGNORED_TARGET = -100
"""Target of a padded position; it enters no loss."""
_ROUNDS = 6


@dataclass(frozen=True)
class Window:
    """Targets ``ids[start : start + length]`` of the book with this number."""

    book: int
    start: int
    length: int


@dataclass(frozen=True)
class Batch:
    """Model input and what it must predict, int64 ``[sequences, sequence_length]`` each."""

    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]


class WindowSampler:
    """The endless sequence of training windows of a token file."""

    def __init__(
        self,
        ids: npt.NDArray[np.uint16],
        books: list[BookTokens],
        sequence_length: int,
        seed: int,
        end_of_text_id: int,
    ) -> None:
        """``ids``: uint16 [tokens] of all ``books``. Raises ValueError where there is no token."""
        self._ids = ids
        self._first_tokens = np.asarray([book.first_token for book in books], np.int64)
        self._tokens = np.asarray([book.tokens for book in books], np.int64)
        self._last_windows = np.cumsum(-(-self._tokens // sequence_length))
        self.sequence_length, self.seed, self.end_of_text_id = sequence_length, seed, end_of_text_id
        self.windows_per_epoch = int(self._last_windows[-1]) if books else 0
        if self.windows_per_epoch == 0:
            raise ValueError("there is no token to train on")

    def window(self, position: int) -> Window:
        """The window at ``position`` (0, 1, ...) of the endless sequence."""
        epoch, place = divmod(position, self.windows_per_epoch)
        number = permuted(place, self.windows_per_epoch, f"{self.seed}/{epoch}")
        book = int(np.searchsorted(self._last_windows, number, side="right"))
        windows_before = int(self._last_windows[book - 1]) if book else 0
        start = (number - windows_before) * self.sequence_length
        return Window(book, start, min(self.sequence_length, int(self._tokens[book]) - start))

    def batch(self, position: int, sequences: int) -> Batch:
        """The windows at ``position`` up to ``position + sequences - 1``; padding ends rows that are shorter."""
        shape = (sequences, self.sequence_length)
        inputs = np.full(shape, self.end_of_text_id, np.int64)
        targets = np.full(shape, IGNORED_TARGET, np.int64)
        for row in range(sequences):
            window = self.window(position + row)
            first = int(self._first_tokens[window.book]) + window.start
            targets[row, : window.length] = self._ids[first : first + window.length]
            inputs[row, 1 : window.length] = targets[row, : window.length - 1]
            if window.start:
                inputs[row, 0] = self._ids[first - 1]
        return Batch(inputs, targets)


def permuted(place: int, size: int, key: str) -> int:
    """Where a permutation of ``0 .. size - 1``, chosen by ``key``, sends ``place``.

    A balanced Feistel network (Luby and Rackoff 1988) over the next even power of two, walked along its cycles until
    the result is in range (Black and Rogaway 2002): under 4 evaluations on average, no memory.
    """
    half_bits = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    value = place
    while True:
        value = _feistel(value, half_bits, key)
        if value < size:
            return value


def _feistel(value: int, half_bits: int, key: str) -> int:
    mask = (1 << half_bits) - 1
    left, right = value >> half_bits, value & mask
    for number in range(_ROUNDS):
        digest = hashlib.blake2b(f"{key}/{number}/{right}".encode(), digest_size=8).digest()
        left, right = right, left ^ (int.from_bytes(digest, "little") & mask)
    return left << half_bits | right
