"""The statistics of continuations, measured on what the authors of the books wrote: the scale for all others."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.evaluation.arguments import OutputDirectory, TrainAndTestTokens
from mamba_narrative.evaluation.continuations import Continuations, write_generation
from mamba_narrative.evaluation.held_out import SPLIT, open_tokens
from mamba_narrative.evaluation.passages import choose_passages

NAME = "human"


def evaluate_human(
    tokens: TrainAndTestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[GenerationSettings, "section `evaluation.generation`"] = GenerationSettings(),
) -> None:
    """Measure the true continuations of the passages that models continue; write the sums.

    Raises UserError where a token file is missing or broken, or no test book is long enough.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    train, _ = open_tokens(tokens, "train")
    passages = choose_passages(
        test, settings.prompts, settings.prompt_tokens, settings.continuation_tokens, settings.passage_seed
    )
    continuations = Continuations(passages, np.stack([passage.human for passage in passages])[:, None])
    write_generation(NAME, continuations, train.ids, tokenizer, output_directory)
