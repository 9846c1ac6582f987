"""Passages of held-out books that models continue."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mamba_narrative.errors import UserError
from mamba_narrative.tokens.reader import BookTokens, TokenFile

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Passage:
    """A prompt from the middle of a book and what its author wrote next, uint16 ids without any end of text."""

    book_id: str
    start: int
    """Tokens of the book before the prompt."""
    prompt: npt.NDArray[np.uint16]
    human: npt.NDArray[np.uint16]


def choose_passages(
    tokens: TokenFile, passages: int, prompt_tokens: int, continuation_tokens: int, seed: int
) -> list[Passage]:
    """``passages`` prompts with their human continuations, from as many books as possible, in file order.

    Passages of a book lie at random places, do not overlap, and never cross into another book. Which places depends
    on the seed, the book's id and length, and how many passages it gives. Raises UserError where no book is long
    enough; with fewer places than wanted, all of them are taken and a warning says so.
    """
    needed = prompt_tokens + continuation_tokens
    places = {book: (book.tokens - 1) // needed for book in tokens.books if book.tokens - 1 >= needed}
    if not places:
        raise UserError(
            f"{tokens.path}: no book has the {needed} tokens of a passage and its continuation; "
            "lower evaluation.generation.prompt_tokens or continuation_tokens, or add books"
        )
    wanted = _shares(places, passages, seed)
    if (found := sum(wanted.values())) < passages:
        _LOG.warning("%s: room for %d passages only, %d are wanted", tokens.path, found, passages)
    chosen = []
    for book, share in wanted.items():
        ids = tokens.book_ids(book)
        for start in _starts(book, share, needed, seed):
            middle = start + prompt_tokens
            chosen.append(Passage(book.book_id, start, ids[start:middle], ids[middle : start + needed]))
    return chosen


def seed_of(*parts: object) -> int:
    """A 63-bit number that depends on all ``parts``."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _shares(places: dict[BookTokens, int], passages: int, seed: int) -> dict[BookTokens, int]:
    """How many passages each book gives: one each in a random order of books, then a second each, and so on."""
    shares = dict.fromkeys(places, 0)
    order = sorted(places, key=lambda book: seed_of(seed, book.book_id))
    left = min(passages, sum(places.values()))
    while left:
        for book in order:
            if left and shares[book] < places[book]:
                shares[book] += 1
                left -= 1
    return shares


def _starts(book: BookTokens, share: int, needed: int, seed: int) -> list[int]:
    """Sorted starts of passages of ``needed`` tokens: random gaps between them share the tokens that are left."""
    generator = np.random.default_rng(seed_of(seed, book.book_id, "starts"))
    spare = book.tokens - 1 - share * needed
    gaps = np.sort(generator.integers(spare + 1, size=share))
    return (gaps + needed * np.arange(share)).tolist()
