"""Words that need the story: last words with and without their passage, names met again, and names from far back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from mamba_narrative.config.evaluation import WordsSettings
from mamba_narrative.evaluation.arguments import OutputDirectory, RunDirectory, TestTokens
from mamba_narrative.evaluation.book_texts import book_texts
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook, held_out_books, open_tokens
from mamba_narrative.evaluation.last_words import LastWord, last_words
from mamba_narrative.evaluation.names import (
    Repeat,
    TokenMention,
    far_mentions,
    mention_nats,
    mentioned_tokens,
    repeats,
    token_mentions,
)
from mamba_narrative.evaluation.passages import seed_of
from mamba_narrative.evaluation.scoring import ModelScorer, Scorer, Trial
from mamba_narrative.evaluation.sums import Case, sums_of, write_sums
from mamba_narrative.evaluation.trained_run import choose_device, load_run
from mamba_narrative.tokens.tokenizer import Tokenizer

_DISTANCES = (1, 16, 64, 256, 1_024, 4_096, 16_384)


def evaluate_words(
    run_directory: RunDirectory,
    tokens: TestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[WordsSettings, "section `evaluation.words`"] = WordsSettings(),
) -> None:
    """Ask a trained run and write the sums.

    Raises UserError where a file is missing or does not fit the others, or the model's scores are not finite.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    model = load_run(run_directory, tokenizer, choose_device(settings.device))
    books = held_out_books(test, tokenizer, settings.max_tokens_per_book)
    scorer = ModelScorer(model, test.end_of_text_id, f"{run_directory.name}: words")
    write_words(run_directory.name, scorer, books, settings, tokenizer, output_directory)


def word_cases(scorer: Scorer, words: Sequence[LastWord]) -> dict[str, list[Case]]:
    """Scores of last words by definition id, names apart."""
    found = scorer.recalls([trial for word in words for trial in (word.with_passage, word.alone)])
    cases: dict[str, list[Case]] = {}
    for kind, is_name in (("word", False), ("name", True)):
        of_kind = [
            (word.with_passage.book_id, found[2 * place], found[2 * place + 1])
            for place, word in enumerate(words)
            if word.is_name == is_name
        ]
        cases[f"last_{kind}_accuracy"] = [Case(book, float(told.is_greedy)) for book, told, _ in of_kind]
        cases[f"last_{kind}_accuracy_alone"] = [Case(book, float(alone.is_greedy)) for book, _, alone in of_kind]
        cases[f"last_{kind}_gain"] = [Case(book, alone.nats - told.nats) for book, told, alone in of_kind]
    return cases


@dataclass(frozen=True)
class NamedBook:
    """A book with the mentions of its names and the nats that each costs where the book is read whole."""

    book: HeldOutBook
    found: list[TokenMention]
    nats: list[float]


def named_books(scorer: Scorer, books: Sequence[HeldOutBook], tokenizer: Tokenizer) -> list[NamedBook]:
    """Read all books, with their states carried."""
    found = [
        token_mentions(text.text, book.ids, tokenizer)
        for book, text in zip(books, book_texts(books, tokenizer), strict=True)
    ]
    losses = scorer.read([book.ids for book in books], [mentioned_tokens(of_book) for of_book in found])
    return [
        NamedBook(book, of_book, mention_nats(of_book, of_mentions))
        for book, of_book, of_mentions in zip(books, found, losses, strict=True)
    ]


def book_repeats(named: Sequence[NamedBook]) -> list[tuple[str, Repeat]]:
    """Later mentions of names in all books, each with its book."""
    return [(one.book.book_id, repeat) for one in named for repeat in repeats(one.found, one.book.ids, one.nats)]


def far_name_cases(scorer: Scorer, named: Sequence[NamedBook], settings: WordsSettings) -> list[Case]:
    """What the book adds to the last ``name_window_tokens`` tokens, for names that only the book before them holds."""
    window = settings.name_window_tokens
    trials, whole = [], []
    for one in named:
        book_id, ids = one.book.book_id, one.book.ids
        far = far_mentions(one.found, window)
        order = np.random.default_rng(seed_of(settings.seed, book_id, "far names")).permutation(len(far))
        for number in sorted(far[place] for place in order[: settings.far_names_per_book]):
            mention = one.found[number]
            prefix = ids[mention.begin - window : mention.begin]
            trials.append(Trial(book_id, prefix, (ids[mention.begin : mention.end],)))
            whole.append(one.nats[number])
    near = scorer.recalls(trials)
    return [Case(trial.book_id, alone.nats - nats) for trial, alone, nats in zip(trials, near, whole, strict=True)]


def write_words(
    run: str,
    scorer: Scorer,
    books: Sequence[HeldOutBook],
    settings: WordsSettings,
    tokenizer: Tokenizer,
    output: Path,
) -> None:
    """Ask ``scorer`` and write the sums of ``run``."""
    words = [
        word
        for text in book_texts(books, tokenizer)
        for word in last_words(text, settings.last_words_per_book, settings.passage_sentences, settings.seed, tokenizer)
    ]
    named = named_books(scorer, books, tokenizer)
    again = book_repeats(named)
    cases = word_cases(scorer, words)
    cases["name_recall_gain"] = [_recall(book, repeat) for book, repeat in again]
    cases["far_name_gain"] = far_name_cases(scorer, named, settings)
    cases |= recall_by_distance(again)
    write_sums(output, "words", {name: sums_of(asked) for name, asked in cases.items()}, {"run": run})


def recall_by_distance(again: Sequence[tuple[str, Repeat]]) -> dict[str, list[Case]]:
    """The gain by the tokens since the last mention: ``name_recall_gain <from>-<to>``, the last one without an end."""
    return {
        f"name_recall_gain {first}-{end or ''}": [
            _recall(book, repeat)
            for book, repeat in again
            if first <= repeat.distance and (end is None or repeat.distance < end)
        ]
        for first, end in zip(_DISTANCES, (*_DISTANCES[1:], None), strict=True)
    }


def _recall(book: str, repeat: Repeat) -> Case:
    return Case(book, repeat.gain * repeat.weight, repeat.weight)
