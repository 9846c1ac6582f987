"""Continuations as metrics and files. Written for models, baselines and human text alike, so that they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.evaluation.bootstrap import Estimate, ratio_of_sums
from mamba_narrative.evaluation.copying import copied_shares, longest_copies
from mamba_narrative.evaluation.names import count_names
from mamba_narrative.evaluation.passages import Passage
from mamba_narrative.evaluation.text_statistics import (
    count_quoted_characters,
    count_sentence_ends,
    distinct_share,
    ends_in_loop,
    zipf_slope,
)
from mamba_narrative.io import write_json
from mamba_narrative.tokens.tokenizer import Tokenizer

_COPIED_LENGTHS = (8, 32)


@dataclass(frozen=True)
class Continuations:
    """Continuations of passages: uint16 [passages, seeds, tokens], one or more of each passage."""

    passages: Sequence[Passage]
    ids: npt.NDArray[np.uint16]


def generation_metrics(
    continuations: Continuations,
    training: npt.NDArray[np.uint16],
    tokenizer: Tokenizer,
    samples: int,
    seed: int,
) -> dict[str, Estimate]:
    """All statistics of continuations by definition id, with intervals over books."""
    books = [passage.book_id for passage in continuations.passages]
    parts = [_parts(passage, row, tokenizer) for passage, row in _each(continuations)]
    of_book = np.repeat(books, continuations.ids.shape[1])
    metrics = {name: _over_books(of_book, [part[name] for part in parts], samples, seed) for name in parts[0]}
    flat = [row for _, row in _each(continuations)]
    for length, shares in copied_shares(flat, training, _COPIED_LENGTHS).items():
        if continuations.ids.shape[2] < length:
            reason = f"continuations of {continuations.ids.shape[2]} tokens have no {length}-grams"
            metrics[f"copied_{length}_share"] = Estimate(None, None, len(set(books)), reason)
        else:
            fractions = [(share or 0.0, 1.0) for share in shares]
            metrics[f"copied_{length}_share"] = _over_books(of_book, fractions, samples, seed)
    copies = [(float(length), 1.0) for length in longest_copies(flat, training)]
    metrics["longest_copy"] = _over_books(of_book, copies, samples, seed)
    return metrics


def write_generation(
    run: str,
    continuations: Continuations,
    training: npt.NDArray[np.uint16],
    tokenizer: Tokenizer,
    settings: GenerationSettings,
    output: Path,
) -> None:
    """Write `generation.json` of ``run``."""
    metrics = generation_metrics(continuations, training, tokenizer, settings.bootstrap_samples, settings.passage_seed)
    write_json(
        output / "generation.json",
        {
            "run": run,
            "settings": settings.model_dump(mode="json"),
            "prompts": len(continuations.passages),
            "books": len({passage.book_id for passage in continuations.passages}),
            "continuations": continuations.ids.shape[0] * continuations.ids.shape[1],
            "metrics": {name: estimate.record(name) for name, estimate in metrics.items()},
        },
    )


def write_samples(continuations: Continuations, tokenizer: Tokenizer, output: Path) -> None:
    """Write `samples.json`: of each passage the prompt, what its author wrote next, and all continuations.

    A character that the end of a passage cuts shows as U+FFFD.
    """
    write_json(
        output / "samples.json",
        [
            {
                "book_id": passage.book_id,
                "prompt": tokenizer.decode(passage.prompt.tolist()),
                "human": tokenizer.decode(passage.human.tolist()),
                "continuations": [tokenizer.decode(row.tolist()) for row in rows],
            }
            for passage, rows in zip(continuations.passages, continuations.ids, strict=True)
        ],
    )


def _each(continuations: Continuations) -> list[tuple[Passage, npt.NDArray[np.uint16]]]:
    return [
        (passage, row) for passage, rows in zip(continuations.passages, continuations.ids, strict=True) for row in rows
    ]


def _parts(passage: Passage, row: npt.NDArray[np.uint16], tokenizer: Tokenizer) -> dict[str, tuple[float, float]]:
    """Numerator and denominator of each metric for one continuation; a mean has denominator 1."""
    ids = row.tolist()
    text = tokenizer.decode(ids)
    prompt = tokenizer.decode(passage.prompt.tolist())
    quoted = count_quoted_characters(prompt, text)
    names, slope = count_names(prompt, text), zipf_slope(text)
    return {
        "seq_rep_4": (1 - distinct_share(ids, 4), 1),
        "distinct_2": (distinct_share(ids, 2), 1),
        "loop_share": (float(ends_in_loop(ids)), 1),
        "sentence_words": (len(text.split()), count_sentence_ends(text)),
        "dialogue_share": (quoted, len(text)),
        "zipf_slope": (0, 0) if slope is None else (slope, 1),
        "names_from_prompt": (names.from_prompt, names.all),
        "names_kept": (names.in_both_halves, names.all),
    }


def _over_books(
    books: npt.NDArray[np.str_], fractions: Sequence[tuple[float, float]], samples: int, seed: int
) -> Estimate:
    """The ratio of sums of ``fractions``, resampled by the book of each."""
    names, number = np.unique(books, return_inverse=True)
    tops, bottoms = np.array(fractions, np.float64).T
    sums = [np.bincount(number, weights=values, minlength=len(names)) for values in (tops, bottoms)]
    return ratio_of_sums(sums[0], sums[1], samples, seed)
