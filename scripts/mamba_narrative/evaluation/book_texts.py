"""Stretches of prose from held-out books: sentences and paragraphs as tokens, from places spread over each book."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mamba_narrative.evaluation.held_out import HeldOutBook
from mamba_narrative.evaluation.passages import seed_of
from mamba_narrative.evaluation.scoring import Ids
from mamba_narrative.evaluation.text_statistics import split_sentences
from mamba_narrative.tokens.tokenizer import Tokenizer

# A shorter paragraph is a heading, a verse or a cry, and a text of such is no prose.
_MIN_WORDS_OF_PARAGRAPH = 8


@dataclass(frozen=True)
class BookText:
    """The text of what is scored of a book; its paragraphs are separated by one blank line."""

    book_id: str
    text: str


def book_texts(books: Sequence[HeldOutBook], tokenizer: Tokenizer) -> list[BookText]:
    """The texts of ``books``; a character that the end of a shortened book cuts is left out."""
    return [BookText(book.book_id, tokenizer.decode(book.ids.tolist()).rstrip("\ufffd")) for book in books]


def paragraphs_of(text: str) -> list[str]:
    """The paragraphs of a text, each on one line; the last one may be cut."""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]


def paragraph_windows(
    book: BookText, count: int, units: int, max_tokens: int, seed: int, tokenizer: Tokenizer
) -> list[list[Ids]]:
    """Up to ``count`` stretches of ``units`` consecutive paragraphs of prose, each encoded by itself.

    All begin after a blank line, so their order changes no token. A stretch has at most ``max_tokens`` tokens.
    """
    return _windows(book.book_id, prose_runs(book.text), "\n\n", count, units, max_tokens, seed, tokenizer)


def sentence_windows(
    book: BookText, count: int, units: int, max_tokens: int, seed: int, tokenizer: Tokenizer
) -> list[list[Ids]]:
    """Up to ``count`` stretches of ``units`` consecutive sentences of prose, across paragraphs, each by itself.

    All begin with a space, so their order changes no token. A stretch has at most ``max_tokens`` tokens.
    """
    runs = [[sentence for paragraph in run for sentence in split_sentences(paragraph)] for run in prose_runs(book.text)]
    return _windows(book.book_id, runs, " ", count, units, max_tokens, seed, tokenizer)


def prose_runs(text: str) -> list[list[str]]:
    """Consecutive paragraphs without short ones among them; the last of the text may be cut and is left out."""
    runs: list[list[str]] = [[]]
    for paragraph in paragraphs_of(text)[:-1]:
        if len(paragraph.split()) < _MIN_WORDS_OF_PARAGRAPH:
            runs.append([])
        else:
            runs[-1].append(paragraph)
    return runs


def _windows(
    book_id: str,
    runs: Sequence[Sequence[str]],
    before: str,
    count: int,
    units: int,
    max_tokens: int,
    seed: int,
    tokenizer: Tokenizer,
) -> list[list[Ids]]:
    """Windows that do not overlap, in a random order of places that depends on the seed and the book."""
    places = list(_places(runs, units))
    order = np.random.default_rng(seed_of(seed, book_id, units, before)).permutation(len(places))
    windows = []
    for place in order:
        if len(windows) == count:
            break
        window = [tokenizer.encode_array(before + text) for text in places[place]]
        if sum(map(len, window)) <= max_tokens and len(set(places[place])) == units:
            windows.append(window)
    return windows


def _places(runs: Sequence[Sequence[str]], units: int) -> Iterator[Sequence[str]]:
    for run in runs:
        for start in range(0, len(run) - units + 1, units):
            yield run[start : start + units]
