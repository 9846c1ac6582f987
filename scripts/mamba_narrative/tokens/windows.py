"""Training windows over whole books, in a seeded order that can be entered anywhere.

A book of ``n`` tokens (its end of text included) has ``n`` targets; the first is predicted from an end-of-text token
put before the book, the same start that evaluation uses. The targets are cut into windows of ``sequence_length``, the
last of a book padded. So every token of every book is a target exactly once an epoch, no window crosses a book, and
what padding costs is less than one window a book.

Cut at the same places in every epoch, a token always has the same tokens before it, and one just after a cut never any.
So the cuts of a book longer than a window may be shifted by an offset that is drawn anew each epoch: the window before
the first cut is then short, begins where the book does, and is padded as the last one is. That costs half a window of
padding more a book, on average.

An epoch visits its windows in a pseudo-random permutation computed from the seed and the epoch's number, window by
window: nothing is stored or replayed to continue at any position.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

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


@dataclass(frozen=True)
class _Cuts:
    """How the books are cut in one epoch."""

    offsets: npt.NDArray[np.int64]
    """Targets before the first cut of each book, below ``sequence_length``; 0: the first window is a whole one."""
    last_windows: npt.NDArray[np.int64]
    """For each book the number of windows up to its end."""

    @property
    def windows(self) -> int:
        return int(self.last_windows[-1])


class WindowSampler:
    """The endless sequence of training windows of a token file."""

    def __init__(
        self,
        ids: npt.NDArray[np.uint16],
        books: list[BookTokens],
        sequence_length: int,
        seed: int,
        end_of_text_id: int,
        offsets: Literal["fixed", "random"] = "fixed",
    ) -> None:
        """``ids``: uint16 [tokens] of all ``books``. ``offsets``: ``random`` cuts each book elsewhere in each epoch.

        Raises ValueError where there is no token.
        """
        self._ids = ids
        self._first_tokens = np.asarray([book.first_token for book in books], np.int64)
        self._tokens = np.asarray([book.tokens for book in books], np.int64)
        self.sequence_length, self.seed, self.end_of_text_id = sequence_length, seed, end_of_text_id
        self._offsets_are_random = offsets == "random"
        if not self._tokens.any():
            raise ValueError("there is no token to train on")
        self._cuts = lru_cache(maxsize=4)(self._cut_books)
        self._first_positions = [0]  # of the epochs so far

    def window(self, position: int) -> Window:
        """The window at ``position`` (0, 1, ...) of the endless sequence."""
        epoch, place, cuts = self._in_epoch(position)
        number = permuted(place, cuts.windows, f"{self.seed}/{epoch}")
        book = int(np.searchsorted(cuts.last_windows, number, side="right"))
        windows_before = int(cuts.last_windows[book - 1]) if book else 0
        offset, tokens = int(cuts.offsets[book]), int(self._tokens[book])
        # The window before the first cut begins `sequence_length - offset` before the book.
        start = (number - windows_before - (offset > 0)) * self.sequence_length + offset
        end = min(start + self.sequence_length, tokens)
        return Window(book, max(start, 0), end - max(start, 0))

    def epochs(self, position: int) -> float:
        """How often the windows before ``position`` hold every token. With random cuts this cuts all epochs before."""
        epoch, place, cuts = self._in_epoch(position)
        return (epoch * cuts.windows + place) / cuts.windows

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

    def _in_epoch(self, position: int) -> tuple[int, int, _Cuts]:
        """The number of the epoch that holds ``position``, the place in it, and its cuts."""
        if not self._offsets_are_random:
            cuts = self._cuts(0)
            return *divmod(position, cuts.windows), cuts
        firsts = self._first_positions
        while firsts[-1] <= position:
            firsts.append(firsts[-1] + self._cuts(len(firsts) - 1).windows)
        epoch = bisect_right(firsts, position) - 1
        return epoch, position - firsts[epoch], self._cuts(epoch)

    def _cut_books(self, epoch: int) -> _Cuts:
        offsets = np.zeros_like(self._tokens)
        if self._offsets_are_random:
            drawn = hashlib.shake_128(f"{self.seed}/{epoch}/offsets".encode()).digest(8 * len(offsets))
            offsets = (np.frombuffer(drawn, "<u8") % self.sequence_length).astype(np.int64)
            offsets[self._tokens <= self.sequence_length] = 0  # which fit into one window
        windows = (offsets > 0) - (offsets - self._tokens) // self.sequence_length
        return _Cuts(offsets, np.cumsum(windows))


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
