"""Continuations as sums and samples. Written for models, baselines and human text alike, so that they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mamba_narrative.evaluation.copying import copied_runs
from mamba_narrative.evaluation.names import count_names
from mamba_narrative.evaluation.passages import Passage
from mamba_narrative.evaluation.sums import Case, sums_of, write_sums
from mamba_narrative.evaluation.text_statistics import (
    count_quoted_characters,
    count_sentence_ends,
    distinct_fraction,
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


def generation_cases(
    continuations: Continuations, training: npt.NDArray[np.uint16], tokenizer: Tokenizer
) -> dict[str, list[Case]]:
    """All statistics of continuations by definition id, one case a continuation; ``training``: uint16 tokens."""
    each = [
        (passage, row) for passage, rows in zip(continuations.passages, continuations.ids, strict=True) for row in rows
    ]
    copied = copied_runs([row for _, row in each], training)
    cases: dict[str, list[Case]] = {}
    for (passage, row), runs in zip(each, copied, strict=True):
        fractions = _fractions(passage, row, tokenizer) | {"longest_copy": (runs.longest, 1)}
        for length in _COPIED_LENGTHS:
            share = runs.share(length)
            fractions[f"copied_{length}_fraction"] = (0, 0) if share is None else (share, 1)
        for name, (top, bottom) in fractions.items():
            cases.setdefault(name, []).append(Case(passage.book_id, float(top), float(bottom)))
    return cases


def write_generation(
    run: str,
    continuations: Continuations,
    training: npt.NDArray[np.uint16],
    tokenizer: Tokenizer,
    output: Path,
) -> None:
    """Write the sums of ``run``; ``training``: uint16 tokens."""
    cases = generation_cases(continuations, training, tokenizer)
    facts = {
        "run": run,
        "prompts": len(continuations.passages),
        "books": len({passage.book_id for passage in continuations.passages}),
        "continuations": continuations.ids.shape[0] * continuations.ids.shape[1],
    }
    write_sums(output, "generation", {name: sums_of(asked) for name, asked in cases.items()}, facts)


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


def _fractions(passage: Passage, row: npt.NDArray[np.uint16], tokenizer: Tokenizer) -> dict[str, tuple[float, float]]:
    """Numerator and denominator of each metric for one continuation; a mean has denominator 1."""
    ids = row.tolist()
    text = tokenizer.decode(ids)
    prompt = tokenizer.decode(passage.prompt.tolist())
    quoted = count_quoted_characters(prompt, text)
    names, slope = count_names(prompt, text), zipf_slope(text)
    return {
        "seq_rep_4": (1 - distinct_fraction(ids, 4), 1),
        "distinct_2": (distinct_fraction(ids, 2), 1),
        "loop_fraction": (float(ends_in_loop(ids)), 1),
        "sentence_words": (len(text.split()), count_sentence_ends(text)),
        "dialogue_fraction": (quoted, len(text)),
        "zipf_slope": (0, 0) if slope is None else (slope, 1),
        "names_from_prompt": (names.from_prompt, names.all),
        "names_kept": (names.in_both_halves, names.all),
    }
