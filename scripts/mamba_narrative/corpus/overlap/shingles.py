"""Hashes of the words of a text and of runs of words, made by whole-array operations.

Words are runs of letters, case folded, without accents and apostrophes, so that editions differ little. Every
character becomes one byte (a letter of another script a byte above 127, many to one: by the word as a whole they are
told apart well enough), and a word is hashed eight bytes at a time.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mamba_narrative.corpus.normal_forms import normalise

Hashes = NDArray[np.uint64]
_RUN_FACTOR = 0xD6E8FEB86659FD93
"""Odd, so that no word of a run is lost, with bits all over."""
_LENGTH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SEPARATOR, _DROPPED, _EXPANDS = 0, 1, 2
"""What a byte means that is no letter."""
_FIRST_LETTER = 3
"""Bytes from here on are letters."""
_CHARACTERS = 0x10000
"""Those of one unit in UTF-16."""
_CHUNK = 8
"""Bytes of a number of 64 bits."""
_DROPPED_CHARACTERS = "'’‘ʼ`\u00ad"
_NO_HASHES: Hashes = np.empty(0, dtype=np.uint64)
# The first n bytes of a little-endian number of eight.
_FIRST_BYTES = np.array([(1 << 8 * length) - 1 for length in range(_CHUNK)] + [2**64 - 1], dtype=np.uint64)


def word_hashes(text: str) -> Hashes:
    """A 64-bit hash of every word of ``text``, in order."""
    letters = _letters_of(text)
    is_letter = letters >= _FIRST_LETTER
    if not is_letter.any():
        return _NO_HASHES
    edges = np.flatnonzero(np.diff(is_letter.view(np.int8), prepend=0, append=0))
    begins, lengths = edges[::2], edges[1::2] - edges[::2]
    padded = np.concatenate([letters, np.zeros(_CHUNK, np.uint8)])
    chunks = np.ndarray((len(letters) + 1,), dtype="<u8", buffer=padded.data, strides=(1,))
    with np.errstate(over="ignore"):
        hashes = lengths.astype(np.uint64) * _LENGTH_FACTOR
        hashes = mix(hashes ^ (chunks[begins] & _FIRST_BYTES[np.minimum(lengths, _CHUNK)]))
        # The words that go on, fewer each time.
        places = np.flatnonzero(lengths > _CHUNK)
        begins, lengths = begins[places], lengths[places]
        while len(places):
            begins, lengths = begins + _CHUNK, lengths - _CHUNK
            rest = chunks[begins] & _FIRST_BYTES[np.minimum(lengths, _CHUNK)]
            hashes[places] = mix(hashes[places] ^ rest)
            longer = lengths > _CHUNK
            places, begins, lengths = places[longer], begins[longer], lengths[longer]
    return hashes


def run_hashes(text: str, run_words: int) -> Hashes:
    """64-bit hashes of every run of ``run_words`` words of ``text``, in order; empty if it has fewer words.

    A run is a polynomial in its words, put together from runs of 1, 2, 4 ... words.
    """
    words = word_hashes(text)
    number = len(words) - run_words + 1
    if number <= 0:
        return _NO_HASHES
    with np.errstate(over="ignore"):
        power, size, done = words, 1, 0
        hashes = np.zeros(number, dtype=np.uint64)
        while True:
            if run_words & size:
                hashes *= _factor(size)
                hashes += power[done : done + number]
                done += size
            if done == run_words:
                return mix(hashes)
            power = power[:-size] * _factor(size) + power[size:]
            size *= 2


def shingle_hashes(text: str, shingle_words: int) -> Hashes:
    """Distinct 64-bit hashes of the runs of ``shingle_words`` words of ``text``, sorted."""
    return distinct(run_hashes(text, shingle_words))


def distinct(hashes: Hashes) -> Hashes:
    """Sorted, each once. Several times faster than ``np.unique``, which builds a hash table first."""
    ordered = np.sort(hashes)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def count_shared(hashes_a: Hashes, hashes_b: Hashes) -> int:
    """Number of hashes in both of two sorted arrays of distinct hashes."""
    smaller, larger = sorted((hashes_a, hashes_b), key=len)
    if not len(smaller):
        return 0
    places = np.minimum(np.searchsorted(larger, smaller), len(larger) - 1)
    return int(np.count_nonzero(larger[places] == smaller))


def mix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): spreads every bit over all 64."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _factor(words: int) -> np.uint64:
    return np.uint64(pow(_RUN_FACTOR, words, 2**64))


def _letters_of(text: str) -> NDArray[np.uint8]:
    """One byte a character: a letter, or 0 between words; what is dropped is left out."""
    table = _character_bytes()
    if text.isascii():
        codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    else:
        # Characters beyond the first 65,536 become two surrogates, which are no letters.
        codes = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2")
    letters = table[codes]
    special = (letters == _DROPPED) | (letters == _EXPANDS)
    if not special.any():
        return letters
    if (letters == _EXPANDS).any():
        spelled = normalise("NFKD", text.casefold())
        letters = table[np.frombuffer(spelled.encode("utf-16-le", "surrogatepass"), dtype="<u2")]
        special = letters < _FIRST_LETTER
        special &= letters != _SEPARATOR
    return letters[~special]


@cache
def _character_bytes() -> NDArray[np.uint8]:
    """What each character becomes: its letter in lower case without accents, or one of the constants above."""
    table = np.zeros(_CHARACTERS, dtype=np.uint8)
    for code in range(_CHARACTERS):
        character = chr(code)
        if unicodedata.combining(character) or character in _DROPPED_CHARACTERS:
            table[code] = _DROPPED
        elif character.isalpha():
            spelled = unicodedata.normalize("NFKD", character.casefold())
            plain = [part for part in spelled if not unicodedata.combining(part)]
            if len(plain) != 1:
                # Only where Latin letters come out (a ligature, a sharp s) is the text spelled anew.
                is_latin = bool(plain) and all(part.isascii() for part in plain)
                table[code] = _EXPANDS if is_latin else 128 + code % 128
            else:
                (part,) = plain
                table[code] = ord(part) if part.isascii() else 128 + ord(part) % 128
    return table
