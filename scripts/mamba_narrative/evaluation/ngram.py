"""The baseline that counts: an interpolated modified Kneser-Ney n-gram model over tokens, in numpy.

The grams of the training text form a trie: level k holds the distinct grams of k tokens as one sorted array of keys
(number of the gram's first k - 1 tokens in level k - 1, last token), so that a gram is found by k binary searches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from mamba_narrative.config.evaluation import LikelihoodBaselines
from mamba_narrative.evaluation.arguments import OutputDirectory, TrainAndTestTokens
from mamba_narrative.evaluation.book_losses import BookLosses, losses_by_position, write_losses
from mamba_narrative.evaluation.held_out import SPLIT, held_out_books, open_tokens
from mamba_narrative.evaluation.position import range_count, sum_by_range
from mamba_narrative.progress import track

NAME = "ngram"
_TOKEN_BITS = 16
_FALLBACK_DISCOUNT = 0.5
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """The distinct grams of one length; all arrays float64 or int64 [grams] but ``backoff``."""

    keys: Integers
    """Sorted: parent << 16 | last token."""
    shares: Floats
    """max(count - discount, 0) / count of the context: what is left of the gram's own share."""
    backoff: Floats
    """[grams of the level below]: weight of the shorter context after each context; 1 where nothing followed it."""


@dataclass(frozen=True)
class KneserNey:
    """A trained model: its levels, shortest grams first."""

    levels: tuple[Level, ...]
    vocab_size: int

    def losses(self, ids: npt.NDArray[np.uint16], end_of_text_id: int) -> Floats:
        """-ln p(token | the tokens before it) in nats, float64 [tokens], of a book that opens with an end of text."""
        tokens = np.concatenate(([end_of_text_id], ids)).astype(np.int64)
        return -np.log(self._probabilities(tokens)[1:])

    def distribution(self, context: npt.NDArray[np.int64]) -> Floats:
        """p(token | context) float64 [vocab_size]; slow, for tests."""
        return np.array([self._probabilities(np.append(context, token))[-1] for token in range(self.vocab_size)])

    def _probabilities(self, tokens: Integers) -> Floats:
        """p of every token after those before it, float64 [tokens]; the first one's context is empty."""
        probabilities = np.full(len(tokens), 1 / self.vocab_size)
        context = np.zeros(len(tokens), np.int64)  # per start of a gram: its first k - 1 tokens, -1 where unseen
        for length, level in enumerate(self.levels, start=1):
            context = context[: len(tokens) - length + 1]
            if not len(context) or not len(level.keys):
                break
            last = tokens[length - 1 :]
            found, seen = _find(level.keys, context, last), context >= 0
            weight = np.where(seen, level.backoff[np.maximum(context, 0)], 1.0)
            own = np.where(found >= 0, level.shares[np.maximum(found, 0)], 0.0)
            probabilities[length - 1 :] = own + weight * probabilities[length - 1 :]
            context = found
        return probabilities


def evaluate_ngram(
    tokens: TrainAndTestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[LikelihoodBaselines, "`likelihood` and `baselines` of `evaluation`"] = LikelihoodBaselines(),
) -> None:
    """Write `likelihood.json`, `likelihood_books.csv` and `position.csv` of the n-gram model of the training books.

    Raises UserError where a token file is missing or broken.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    train, _ = open_tokens(tokens, "train")
    sizes = settings.baselines
    training = train.ids[: sizes.ngram_training_tokens]
    model = train_ngram(training, sizes.ngram_order, tokenizer.vocab_size, train.end_of_text_id)
    books = held_out_books(test, tokenizer, settings.likelihood.max_tokens_per_book)
    ranges = range_count(max(len(book.ids) for book in books))
    nats = [
        sum_by_range(0, model.losses(book.ids, test.end_of_text_id), ranges)
        for book in track(books, f"{NAME}: scoring", len(books), "books")
    ]
    facts = {"order": sizes.ngram_order, "training_tokens": len(training), "of_training_tokens": len(train)}
    losses = BookLosses(books, np.stack(nats))
    write_losses(NAME, losses, output_directory, facts, more=losses_by_position(losses))


def train_ngram(ids: npt.NDArray[np.uint16], order: int, vocab_size: int, end_of_text_id: int) -> KneserNey:
    """Interpolated modified Kneser-Ney of ``order`` (Chen and Goodman 1998, section 3).

    ids: books, each closed by an end of text, which opens the next one: grams do not cross it. The longest grams, and
    those that open a book, count as often as they occur; the others in how many tokens they occur after. At most
    300 bytes of memory a training token.
    """
    tokens = np.concatenate(([end_of_text_id], ids)).astype(np.int64)
    is_end = tokens == end_of_text_id
    keys, parents, counts, firsts, nodes = [], [], [], [], [np.zeros(len(tokens), np.int64)]
    for length in track(range(1, order + 1), "counting grams", order, "lengths"):
        # Per start of a gram of the level below, -1 where that gram, or its extension, crosses the end of a book.
        below = nodes[-1][: max(len(tokens) - length + 1, 0)]
        last = tokens[length - 1 :]
        valid = below >= 0
        if length > 2:
            valid &= ~is_end[length - 2 : len(tokens) - 1]
        if length == 2:
            valid &= ~(is_end[:-1] & is_end[1:])
        starts = np.flatnonzero(valid)
        found, first, inverse, occurrences = np.unique(
            below[starts] << _TOKEN_BITS | last[starts], return_index=True, return_inverse=True, return_counts=True
        )
        node = np.full(len(below), -1)
        node[starts] = inverse
        keys.append(found)
        parents.append(found >> _TOKEN_BITS)
        counts.append(occurrences)
        firsts.append(starts[first])
        nodes.append(node)
    for shorter in range(order - 1):
        # Every longer gram ends in a shorter one: one more token that the shorter one occurs after.
        ends = nodes[shorter + 1][firsts[shorter + 1] + 1]
        after = np.bincount(ends, minlength=len(keys[shorter]))
        opens_book = is_end[firsts[shorter]] & (shorter > 0)
        counts[shorter] = np.where(opens_book, counts[shorter], after)
    below_sizes = [1, *(len(level) for level in keys)]
    return KneserNey(
        tuple(_level(keys[number], parents[number], counts[number], below_sizes[number]) for number in range(order)),
        vocab_size,
    )


def discounts(counts: Integers) -> Floats:
    """What is taken from grams seen 0, 1, 2 and 3 or more times, float64 [4] (Chen and Goodman 1998, equation 26).

    From a text too small to hold grams of every count from 1 to 4, or whose counts are odd, 0.5 from each.
    """
    once, twice, thrice, four_times = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    fallback = np.array([0, *[_FALLBACK_DISCOUNT] * 3])
    if not all((once, twice, thrice, four_times)):
        return fallback
    share = once / (once + 2 * twice)
    found = [1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four_times / thrice]
    return np.array([0, *found]) if all(0 < part < times for times, part in enumerate(found, 1)) else fallback


def _level(keys: Integers, parents: Integers, counts: Integers, contexts: int) -> Level:
    taken = discounts(counts)[np.minimum(counts, 3)]
    totals = np.bincount(parents, weights=counts, minlength=contexts)
    spared = np.bincount(parents, weights=taken, minlength=contexts)
    followed = totals > 0
    backoff = np.where(followed, spared / np.where(followed, totals, 1), 1.0)
    own = np.where(counts > 0, (counts - taken) / np.maximum(totals[parents], 1), 0.0)
    return Level(keys, own, backoff)


def _find(keys: Integers, parents: Integers, tokens: Integers) -> Integers:
    """Numbers of grams in sorted ``keys``, -1 where there is none."""
    wanted = np.where(parents >= 0, parents << _TOKEN_BITS | tokens, -1)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)
