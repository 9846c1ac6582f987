"""Last words of passages that occurred before in the passage, in the manner of LAMBADA (Paperno et al. 2016)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mamba_narrative.evaluation.book_texts import BookText, prose_runs
from mamba_narrative.evaluation.passages import seed_of
from mamba_narrative.evaluation.scoring import Trial
from mamba_narrative.evaluation.text_statistics import split_sentences
from mamba_narrative.tokens.tokenizer import Tokenizer

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LAST = re.compile(r"(?P<before>.*\s)(?P<word>[^\W\d_]{3,})(?P<rest>[^\w\s]*)")


@dataclass(frozen=True)
class LastWord:
    """A word to be guessed: after its passage and its sentence, and after its sentence alone."""

    with_passage: Trial
    alone: Trial
    is_name: bool


def last_words(book: BookText, count: int, sentences: int, seed: int, tokenizer: Tokenizer) -> list[LastWord]:
    """Up to ``count`` last words that are names and as many others, from random places of a book; passages have
    ``sentences`` sentences, the last one's included, and do not overlap.

    The word has at least three letters, occurs in the sentences before the last one and nowhere else in the last one.
    A name is a word that the book never spells with a small letter.
    """
    words = Counter(_WORD.findall(book.text))
    places = _places(book, sentences)
    order = np.random.default_rng(seed_of(seed, book.book_id, "last words")).permutation(len(places))
    found: list[LastWord] = []
    # Names are rare: without a share of their own there are too few to tell anything.
    wanted = {True: count, False: count}
    for place in order.tolist():
        before, sentence, word = places[place]
        is_name = word[0].isupper() and words[word[0].lower() + word[1:]] == 0
        if not wanted[is_name]:
            continue
        wanted[is_name] -= 1
        target = tokenizer.encode_array(" " + word)
        passage, alone = (tokenizer.encode_array(" " + text) for text in (f"{before} {sentence}", sentence))
        found.append(LastWord(Trial(book.book_id, passage, (target,)), Trial(book.book_id, alone, (target,)), is_name))
    return found


def _places(book: BookText, sentences: int) -> list[tuple[str, str, str]]:
    """The sentences before, the last sentence up to its last word, and that word, wherever the conditions hold."""
    places = []
    for run in prose_runs(book.text):
        texts = [sentence for paragraph in run for sentence in split_sentences(paragraph)]
        end = sentences
        while end <= len(texts):
            case = _case(texts[end - sentences : end])
            if case is not None:
                places.append(case)
            end += sentences if case is not None else 1
    return places


def _case(texts: Sequence[str]) -> tuple[str, str, str] | None:
    before, match = " ".join(texts[:-1]), _LAST.fullmatch(texts[-1])
    if match is None:
        return None
    word = match["word"]
    # The search for a part of the text is quick and mostly enough.
    if (
        word not in before
        or word not in _WORD.findall(before)
        or word.lower() in (other.lower() for other in _WORD.findall(match["before"]))
    ):
        return None
    return before, match["before"].rstrip(), word
