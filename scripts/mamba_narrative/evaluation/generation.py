"""What a trained run writes when it continues passages of held-out books."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.evaluation.arguments import OutputDirectory, RunDirectory, TrainAndTestTokens
from mamba_narrative.evaluation.continuations import Continuations, write_generation, write_samples
from mamba_narrative.evaluation.held_out import SPLIT, open_tokens
from mamba_narrative.evaluation.passages import choose_passages
from mamba_narrative.evaluation.sampling import continue_passages, random_numbers
from mamba_narrative.evaluation.trained_run import choose_device, load_run
from mamba_narrative.progress import Progress


def evaluate_generation(
    run_directory: RunDirectory,
    tokens: TrainAndTestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[GenerationSettings, "section `evaluation.generation`"] = GenerationSettings(),
) -> None:
    """Sample continuations with a trained run; write the sums and `samples.json`.

    Raises UserError where a file is missing or does not fit the others, no test book is long enough, or the model's
    scores are not finite.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    train, _ = open_tokens(tokens, "train")
    model = load_run(run_directory, tokenizer, choose_device(settings.device))
    passages = choose_passages(
        test, settings.prompts, settings.prompt_tokens, settings.continuation_tokens, settings.passage_seed
    )
    uniforms = [random_numbers(passages, seed, settings.continuation_tokens) for seed in settings.seeds]
    prompts = np.stack([passage.prompt for passage in passages])
    total = len(passages) * len(settings.seeds) * settings.continuation_tokens
    with Progress(f"{run_directory.name}: sampling", total, "tokens") as progress:
        ids = continue_passages(
            model,
            np.concatenate([prompts] * len(settings.seeds)),
            torch.cat(uniforms),
            test.end_of_text_id,
            settings.temperature,
            settings.top_p,
            progress,
        )
    by_seed = ids.reshape(len(settings.seeds), len(passages), settings.continuation_tokens)
    continuations = Continuations(passages, by_seed.transpose(1, 0, 2))
    write_samples(continuations, tokenizer, output_directory)
    write_generation(run_directory.name, continuations, train.ids, tokenizer, output_directory)
