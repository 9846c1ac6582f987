"""Names of a text and where they are mentioned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mamba_narrative.evaluation.scoring import Ids, Losses
from mamba_narrative.tokens.tokenizer import Tokenizer

_WORD = re.compile(r"[^\W\d_]+")
# Elsewhere a capital is no sign of a name: a sentence or a quotation may begin there.
_INSIDE_SENTENCE = re.compile(r"(?:[^\W_]['’]?[,;]?|\b(?:Mr|Mrs|Ms|Dr|St|Messrs)\.)\s\Z")
_CHARACTERS_BEFORE = 8
_NO_NAMES = frozenset({"I", "O", "Mr", "Mrs", "Miss", "Ms", "Dr", "Sir", "Lord", "Lady", "Madam", "Monsieur", "Madame"})


@dataclass(frozen=True)
class Mention:
    """A mention of a name, in characters of the text; ``is_free``: its capital does not begin a sentence."""

    name: str
    start: int
    is_free: bool

    @property
    def end(self) -> int:
        """First character after it."""
        return self.start + len(self.name)


@dataclass(frozen=True)
class Repeat:
    """A later mention of a name: tokens since the last one, and nats that it costs less than the first one.

    weight: 1 / the later mentions of the name, so that the cost of one first mention does not count a hundred times.
    """

    distance: int
    gain: float
    weight: float


def mentions(text: str, least: int = 1) -> list[Mention]:
    """All mentions of the names of ``text``, in order.

    A name is a word with a capital that stands inside a sentence at least once, occurs at least ``least`` times and is
    never spelt with a small letter in this text; titles and ``I`` are none.
    """
    words = list(_WORD.finditer(text))
    counts = Counter(match[0] for match in words)
    found = [
        Mention(match[0], match.start(), _is_inside_sentence(text, match.start()))
        for match in words
        if match[0][0].isupper() and counts[match[0]] >= least
    ]
    free = {mention.name for mention in found if mention.is_free}
    names = {name for name in free - _NO_NAMES if len(name) > 1 and not name.isupper() and counts[name.lower()] == 0}
    return [mention for mention in found if mention.name in names]


@dataclass(frozen=True)
class NameCounts:
    """Different names of a continuation: how many, how many of its prompt, how many in both of its halves."""

    all: int
    from_prompt: int
    in_both_halves: int


def count_names(prompt: str, continuation: str) -> NameCounts:
    """The names of ``continuation`` as the text that it and ``prompt`` are together shows them."""
    middle = len(prompt) + len(continuation) // 2
    found = mentions(prompt + continuation)
    before = {mention.name for mention in found if mention.start < len(prompt)}
    first = {mention.name for mention in found if len(prompt) <= mention.start < middle}
    second = {mention.name for mention in found if mention.start >= middle}
    return NameCounts(len(first | second), len((first | second) & before), len(first & second))


def _is_inside_sentence(text: str, place: int) -> bool:
    return _INSIDE_SENTENCE.search(text, max(0, place - _CHARACTERS_BEFORE), place) is not None


@dataclass(frozen=True)
class TokenMention:
    """A mention as tokens ``begin`` ... ``end - 1`` of its book."""

    name: str
    begin: int
    end: int
    is_free: bool


def token_mentions(text: str, ids: Ids, tokenizer: Tokenizer) -> list[TokenMention]:
    """The mentions of the names that ``text`` mentions at least three times, in order."""
    ends = token_ends(ids, tokenizer)
    offsets = np.concatenate(([0], np.cumsum([len(character.encode("utf-8")) for character in text])))
    found = mentions(text, least=3)
    begins = np.searchsorted(ends, offsets[[mention.start for mention in found]], side="right")
    last = np.searchsorted(ends, offsets[[mention.end for mention in found]] - 1, side="right")
    return [
        TokenMention(mention.name, begin, min(end + 1, len(ids)), mention.is_free)
        for mention, begin, end in zip(found, begins.tolist(), last.tolist(), strict=True)
    ]


def mentioned_tokens(found: Sequence[TokenMention]) -> npt.NDArray[np.int64]:
    """The places of all tokens of mentions, int64, rising, each once."""
    places = [np.arange(mention.begin, mention.end) for mention in found]
    return np.unique(np.concatenate(places)) if places else np.empty(0, np.int64)


def mention_nats(found: Sequence[TokenMention], losses: Losses) -> list[float]:
    """The cost of each mention, from the nats of ``mentioned_tokens(found)``."""
    places = mentioned_tokens(found)
    spans = [np.searchsorted(places, (mention.begin, mention.end)) for mention in found]
    return [float(losses[begin:end].sum()) for begin, end in spans]


def far_mentions(found: Sequence[TokenMention], window: int) -> list[int]:
    """Which mentions stand inside a sentence and have the last one before them more than ``window`` tokens ago."""
    last: dict[str, int] = {}
    far = []
    for number, mention in enumerate(found):
        if mention.is_free and mention.name in last and mention.begin - last[mention.name] >= window:
            far.append(number)
        last[mention.name] = mention.end
    return far


def repeats(found: Sequence[TokenMention], ids: Ids, nats: Sequence[float]) -> list[Repeat]:
    """Later mentions of names of the book ``ids``; ``nats``: what each of ``found`` costs.

    Only mentions inside a sentence count, for elsewhere the capital is a gift; names whose first mention is not such a
    one are left out. A mention is compared where it has the tokens of the first one, so that token frequencies gain
    exactly nothing. Distances are those to the last mention of any kind.
    """
    first: dict[str, tuple[float, list[int]] | None] = {}
    last: dict[str, int] = {}
    later: dict[str, list[tuple[int, float]]] = {}
    for mention, cost in zip(found, nats, strict=True):
        spelt = ids[mention.begin : mention.end].tolist()
        if mention.name not in first:
            first[mention.name] = (cost, spelt) if mention.is_free else None
        elif mention.is_free and (before := first[mention.name]) is not None and spelt == before[1]:
            distance = mention.begin - last[mention.name] + 1
            later.setdefault(mention.name, []).append((distance, before[0] - cost))
        last[mention.name] = mention.end
    return [Repeat(distance, gain, 1 / len(of_name)) for of_name in later.values() for distance, gain in of_name]


def token_ends(ids: Ids, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """How many bytes of the text there are up to the end of each token, int64 [tokens]."""
    kinds, places = np.unique(ids, return_inverse=True)
    sizes = np.array([tokenizer.count_bytes([kind]) for kind in kinds.tolist()], np.int64)
    return np.cumsum(sizes[places])
