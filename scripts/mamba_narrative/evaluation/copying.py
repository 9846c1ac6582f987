"""Which n-grams of some texts occur in the training tokens, and how long the longest copied runs are.

One pass over the training tokens compares hashes of all their n-grams with those that are looked for. Hashes have 64
bits: in 3 billion training tokens the chance of one wrong hit among 100,000 n-grams is about 2e-5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mamba_narrative.progress import Progress

_CHUNK_TOKENS = 1 << 22
_FILTER_BITS = 22
_SHORTEST_COPY = 8
_SEPARATOR = -1
_FACTOR = 0x9E3779B97F4A7C15
_TOKEN_HASHES = np.random.default_rng(0).integers(0, 1 << 64, size=1 << 16, dtype=np.uint64)


def copied_shares(
    texts: Sequence[npt.NDArray[np.uint16]], training: npt.NDArray[np.uint16], lengths: Sequence[int]
) -> dict[int, list[float | None]]:
    """For each length n, a power of two: by text, the share of its n-grams that occur in ``training`` (uint16).

    None for a text without n-grams.
    """
    wanted = {length: [_gram_hashes(text, length) for text in texts] for length in lengths}
    searches = {length: _Search(np.concatenate(grams)) for length, grams in wanted.items()}
    overlap = max(lengths) - 1
    with Progress("looking for copied n-grams", len(training), "tokens") as progress:
        for start in range(0, len(training), _CHUNK_TOKENS):
            # N-grams that begin in this chunk; the overlap holds their ends.
            chunk = training[start : start + _CHUNK_TOKENS + overlap]
            for length, search in searches.items():
                search.look_at(_gram_hashes(chunk, length))
            progress.advance(min(_CHUNK_TOKENS, len(training) - start))
    return {
        length: [float(searches[length].found(grams).mean()) if len(grams) else None for grams in wanted[length]]
        for length in lengths
    }


def longest_copies(texts: Sequence[npt.NDArray[np.uint16]], training: npt.NDArray[np.uint16]) -> list[int]:
    """For each text the length in tokens of its longest run that occurs in ``training`` (uint16).

    Runs shorter than 8 tokens, which are everywhere, count as 0. Runs are compared token by token, so hashes decide
    only where to look.
    """
    longest = np.zeros(len(texts), np.int64)
    # A separator that is no token ends each text and begins the first.
    flat = np.concatenate([[_SEPARATOR], *(np.append(text.astype(np.int64), _SEPARATOR) for text in texts)])
    starts = np.cumsum([1, *(len(text) + 1 for text in texts)])[:-1]
    grams = [_gram_hashes(text, _SHORTEST_COPY) for text in texts]
    places = np.concatenate([np.arange(len(found)) + start for found, start in zip(grams, starts, strict=True)])
    owner = np.repeat(np.arange(len(texts)), [len(found) for found in grams])
    hashes = np.concatenate(grams)
    order = np.argsort(hashes, kind="stable")
    hashes, places, owner = hashes[order], places[order], owner[order]
    wanted = np.zeros(1 << _FILTER_BITS, bool)
    wanted[_high_bits(hashes)] = True
    with Progress("looking for the longest copies", len(training), "tokens") as progress:
        for start in range(0, len(training), _CHUNK_TOKENS):
            found = _gram_hashes(training[start : start + _CHUNK_TOKENS + _SHORTEST_COPY - 1], _SHORTEST_COPY)
            near = np.flatnonzero(wanted[_high_bits(found)])
            first, end = (np.searchsorted(hashes, found[near], side=side) for side in ("left", "right"))
            counts = end - first
            # Every place in the training tokens with every place in the texts that has the same hash.
            pairs = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            there = np.repeat(near + start, counts)
            lengths = _common_lengths(flat, places[pairs], training, there)
            np.maximum.at(longest, owner[pairs], np.where(lengths < _SHORTEST_COPY, 0, lengths))
            progress.advance(min(_CHUNK_TOKENS, len(training) - start))
    return longest.tolist()


def _common_lengths(
    flat: npt.NDArray[np.int64],
    here: npt.NDArray[np.int64],
    training: npt.NDArray[np.uint16],
    there: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """How many tokens agree from each of the places ``here`` and ``there`` on; 0 where the run began before them."""
    lengths = np.zeros(len(here), np.int64)
    begun = (there > 0) & (flat[here - 1] == training[np.maximum(there - 1, 0)])
    going = np.flatnonzero(~begun)
    while len(going):
        # The separator at the end of each text agrees with no token.
        next_here, next_there = here[going] + lengths[going], there[going] + lengths[going]
        inside = next_there < len(training)
        going, next_here, next_there = going[inside], next_here[inside], next_there[inside]
        going = going[flat[next_here] == training[next_there]]
        lengths[going] += 1
    return lengths


class _Search:
    def __init__(self, hashes: npt.NDArray[np.uint64]) -> None:
        self._wanted = np.unique(hashes)
        self._seen = np.zeros(len(self._wanted), bool)
        # Most training n-grams are rejected by their highest bits, without a search in the sorted list.
        self._filter = np.zeros(1 << _FILTER_BITS, bool)
        self._filter[_high_bits(self._wanted)] = True

    def look_at(self, hashes: npt.NDArray[np.uint64]) -> None:
        candidates = hashes[self._filter[_high_bits(hashes)]]
        places = np.searchsorted(self._wanted, candidates)
        inside = places < len(self._wanted)
        places, candidates = places[inside], candidates[inside]
        self._seen[places[self._wanted[places] == candidates]] = True

    def found(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        return self._seen[np.searchsorted(self._wanted, hashes)]


def _high_bits(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)


def _gram_hashes(ids: npt.NDArray[np.uint16], length: int) -> npt.NDArray[np.uint64]:
    """Hash of every n-gram: the sum of the tokens' random numbers times powers of an odd factor, modulo 2**64.

    The hash of 2n tokens comes from those of its halves, so ``length`` is a power of two.
    """
    if length < 1 or length & (length - 1):
        raise ValueError(f"the length of n-grams must be a power of two, not {length}")
    hashes, factor, width = _TOKEN_HASHES[ids], _FACTOR, 1
    while width < length:
        hashes = hashes[:-width] + np.uint64(factor) * hashes[width:]
        factor = factor * factor % (1 << 64)
        width *= 2
    return hashes
