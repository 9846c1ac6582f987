"""Which n-grams of some texts occur in the training tokens.

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
