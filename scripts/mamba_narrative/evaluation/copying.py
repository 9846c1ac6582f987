"""Where some texts repeat the training tokens word for word.

One pass over the training tokens compares hashes of all their 8-grams with those of the texts; from each place of equal
hashes on the tokens themselves are compared, so that hashes decide only where to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mamba_narrative.progress import Progress

SHORTEST_COPY = 8
"""Shorter runs of tokens are everywhere, and are not looked for."""

# Small enough that what is computed of a piece stays in the cache.
_CHUNK_TOKENS = 1 << 18
_FILTER_BITS = 22
_SEPARATOR, _NO_TOKEN = -1, 1 << 16
_FACTOR = 0x9E3779B97F4A7C15
_TOKEN_HASHES = np.random.default_rng(0).integers(0, 1 << 64, size=1 << 16, dtype=np.uint64)


@dataclass(frozen=True)
class CopiedRuns:
    """The runs of one text that occur in the training tokens and go on nowhere there: first token and length.

    int64 [runs] each; runs may overlap.
    """

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    tokens: int
    """Length of the text."""

    @property
    def longest(self) -> int:
        """Tokens of the longest run; 0 where there is none of ``SHORTEST_COPY``."""
        return int(self.lengths.max(initial=0))

    def share(self, n: int) -> float | None:
        """Share of the text's n-grams that occur in the training tokens; None for a text without n-grams."""
        if n < SHORTEST_COPY:
            raise ValueError(f"n-grams of at least {SHORTEST_COPY} tokens are known, not of {n}")
        grams = self.tokens - n + 1
        if grams < 1:
            return None
        long = self.lengths >= n
        # How many runs cover an n-gram: each begins to at its first token and ends after its last whole n-gram.
        steps = np.zeros(grams + 1, np.int64)
        np.add.at(steps, self.starts[long], 1)
        np.add.at(steps, self.starts[long] + self.lengths[long] - n + 1, -1)
        return float((np.cumsum(steps[:-1]) > 0).mean())


def copied_runs(texts: Sequence[npt.NDArray[np.uint16]], training: npt.NDArray[np.uint16]) -> list[CopiedRuns]:
    """The copied runs of each text, from one pass over ``training`` (uint16), on as many threads as torch uses."""
    # A separator that is no token ends each text and begins the first.
    flat = np.concatenate([[_SEPARATOR], *(np.append(text.astype(np.int64), _SEPARATOR) for text in texts)])
    firsts = np.cumsum([1, *(len(text) + 1 for text in texts)])[:-1]
    grams = [_gram_hashes(text) for text in texts]
    places = np.concatenate([np.arange(len(found)) + first for found, first in zip(grams, firsts, strict=True)])
    hashes = np.concatenate(grams)
    order = np.lexsort((flat[places - 1], hashes))
    search = _search(flat, hashes[order], places[order], training)
    pieces = range(0, len(training), _CHUNK_TOKENS)
    found: list[npt.NDArray[np.int64]] = []
    with (
        Progress("looking for copied runs", len(training), "tokens") as progress,
        ThreadPoolExecutor(torch.get_num_threads()) as threads,
    ):
        for start, runs in zip(pieces, threads.map(search, pieces), strict=True):
            found.append(runs)
            progress.advance(min(_CHUNK_TOKENS, len(training) - start))
    return list(_by_text(found, firsts, [len(text) for text in texts]))


def _search(
    flat: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    places: npt.NDArray[np.int64],
    training: npt.NDArray[np.uint16],
) -> Callable[[int], npt.NDArray[np.int64]]:
    """A function of a place in ``training`` that gives the runs, int64 [2, runs], which begin in the piece there.

    hashes: of the texts' n-grams, sorted, with their ``places`` in ``flat``, the texts between separators; those of
    equal hashes by the token before them. A run is its place in ``flat`` and its length.
    """
    # Most n-grams are rejected by their highest bits, without a search in the sorted list.
    wanted = np.zeros(1 << _FILTER_BITS, bool)
    wanted[_high_bits(hashes)] = True
    # Sorted, too: the first place of the same hash, and the token before.
    keys = _keys(np.searchsorted(hashes, hashes), flat[places - 1])

    def runs(start: int) -> npt.NDArray[np.int64]:
        found = _gram_hashes(training[start : start + _CHUNK_TOKENS + SHORTEST_COPY - 1])
        near = np.flatnonzero(wanted[_high_bits(found)])
        near = near[hashes[np.minimum(np.searchsorted(hashes, found[near]), len(hashes) - 1)] == found[near]]
        first, end = (np.searchsorted(hashes, found[near], side=side) for side in ("left", "right"))
        before = np.where(near + start > 0, training[near + start - 1].astype(np.int64), _NO_TOKEN)
        begun, over = (np.searchsorted(keys, _keys(first, before), side=side) for side in ("left", "right"))
        # Every place in the training tokens with every place in the texts that has the same hash, but for those where
        # the run began before: text that repeats itself would have as many as the square of its length.
        there = np.concatenate((near, near)) + start
        pairs, counts = _ranges(np.concatenate((first, over)), np.concatenate((begun, end)))
        here = places[pairs]
        lengths = _common_lengths(flat, here, training, np.repeat(there, counts))
        long = lengths >= SHORTEST_COPY
        return np.unique(np.stack((here[long], lengths[long])), axis=1)

    return runs


def _by_text(
    found: Sequence[npt.NDArray[np.int64]], firsts: npt.NDArray[np.int64], sizes: Sequence[int]
) -> Iterator[CopiedRuns]:
    starts, lengths = np.concatenate([np.empty((2, 0), np.int64), *found], axis=1)
    owner = np.searchsorted(firsts, starts, side="right") - 1
    for number, (first, size) in enumerate(zip(firsts.tolist(), sizes, strict=True)):
        own = owner == number
        yield CopiedRuns(starts[own] - first, lengths[own], size)


def _common_lengths(
    flat: npt.NDArray[np.int64],
    here: npt.NDArray[np.int64],
    training: npt.NDArray[np.uint16],
    there: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """How many tokens agree from each of the places ``here`` and ``there`` on."""
    lengths = np.zeros(len(here), np.int64)
    going = np.arange(len(here))
    while len(going):
        # The separator at the end of each text agrees with no token.
        next_here, next_there = here[going] + lengths[going], there[going] + lengths[going]
        inside = next_there < len(training)
        going, next_here, next_there = going[inside], next_here[inside], next_there[inside]
        going = going[flat[next_here] == training[next_there]]
        lengths[going] += 1
    return lengths


def _keys(groups: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers that are ordered by group, then by token."""
    return groups * (_NO_TOKEN + 2) + tokens + 1


def _ranges(
    firsts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The numbers of all ranges, one after the other, and how many each has."""
    counts = ends - firsts
    return np.repeat(firsts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum()), counts


def _high_bits(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)


def _gram_hashes(ids: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint64]:
    """Hash of every run of ``SHORTEST_COPY`` tokens: the sum of the tokens' random numbers times powers of an odd
    factor, modulo 2**64. The hash of 2n tokens comes from those of its halves.
    """
    hashes, factor, width = _TOKEN_HASHES[ids], _FACTOR, 1
    while width < SHORTEST_COPY:
        hashes = hashes[:-width] + np.uint64(factor) * hashes[width:]
        factor = factor * factor % (1 << 64)
        width *= 2
    return hashes
