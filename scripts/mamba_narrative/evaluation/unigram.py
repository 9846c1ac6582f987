"""The baseline that knows how frequent tokens are and nothing of their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch

from mamba_narrative.config.evaluation import EvaluationSettings
from mamba_narrative.evaluation.arguments import OutputDirectory, TrainAndTestTokens
from mamba_narrative.evaluation.book_losses import BookLosses, losses_by_position, write_losses
from mamba_narrative.evaluation.continuations import Continuations, write_generation, write_samples
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook, held_out_books, open_tokens
from mamba_narrative.evaluation.passages import Passage, choose_passages
from mamba_narrative.evaluation.position import range_count, sum_by_range
from mamba_narrative.evaluation.sampling import random_numbers, sample_tokens
from mamba_narrative.evaluation.scoring import TokenScorer
from mamba_narrative.evaluation.structure import read_trials, write_structure
from mamba_narrative.evaluation.words import write_words
from mamba_narrative.progress import track

NAME = "unigram"
_CHUNK_TOKENS = 1 << 24


def evaluate_unigram(
    tokens: TrainAndTestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[EvaluationSettings, "section `evaluation`"] = EvaluationSettings(),
) -> None:
    """Write the same sums for token frequencies as the other evaluations write for a run.

    Raises UserError where a token file is missing or broken, or no test book is long enough.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    train, _ = open_tokens(tokens, "train")
    losses_of = token_losses(train.ids, tokenizer.vocab_size)
    books = held_out_books(test, tokenizer, settings.likelihood.max_tokens_per_book)
    losses = unigram_losses(losses_of, books)
    write_losses(NAME, losses, output_directory, more=losses_by_position(losses))
    generation = settings.generation
    passages = choose_passages(
        test, generation.prompts, generation.prompt_tokens, generation.continuation_tokens, generation.passage_seed
    )
    ids = [
        sample(losses_of, passages, seed, generation.continuation_tokens, test.end_of_text_id,
               generation.temperature, generation.top_p)
        for seed in generation.seeds
    ]  # fmt: skip
    continuations = Continuations(passages, np.stack(ids, axis=1))
    write_samples(continuations, tokenizer, output_directory)
    write_generation(NAME, continuations, train.ids, tokenizer, output_directory)
    structure, scorer = settings.structure, TokenScorer(losses_of)
    write_structure(NAME, scorer, read_trials(tokens, test, tokenizer, structure), structure, output_directory)
    read = held_out_books(test, tokenizer, settings.words.max_tokens_per_book)
    write_words(NAME, scorer, read, settings.words, tokenizer, output_directory)


def token_losses(training: npt.NDArray[np.uint16], vocab_size: int) -> npt.NDArray[np.float64]:
    """-ln p(token) float64 [vocab_size] with p = (count + 1) / (training tokens + vocab_size) (Laplace).

    The end of text is a token like any other here, as it is for models.
    """
    counts = np.zeros(vocab_size, np.int64)
    starts = range(0, len(training), _CHUNK_TOKENS)
    for start in track(starts, "counting training tokens", len(starts), "pieces"):
        counts += np.bincount(training[start : start + _CHUNK_TOKENS], minlength=vocab_size)
    return np.log(len(training) + vocab_size) - np.log(counts + 1)


def unigram_losses(losses_of: npt.NDArray[np.float64], books: Sequence[HeldOutBook]) -> BookLosses:
    """Losses of all tokens of ``books``; ``losses_of``: float64 [vocabulary]."""
    ranges = range_count(max(len(book.ids) for book in books))
    return BookLosses(books, np.stack([sum_by_range(0, losses_of[book.ids], ranges) for book in books]))


def sample(
    losses_of: npt.NDArray[np.float64],
    passages: Sequence[Passage],
    seed: int,
    tokens: int,
    end_of_text_id: int,
    temperature: float,
    top_p: float,
) -> npt.NDArray[np.uint16]:
    """Independent draws uint16 [passages, tokens], with the random numbers and the nucleus that models get."""
    scores = -torch.from_numpy(losses_of)
    scores[end_of_text_id] = float("-inf")
    uniforms = random_numbers(passages, seed, tokens)
    return (
        sample_tokens(scores[None], uniforms.reshape(1, -1), temperature, top_p)
        .reshape(-1, tokens)
        .numpy()
        .astype(np.uint16)
    )
