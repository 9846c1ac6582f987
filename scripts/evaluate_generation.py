"""Let a trained run continue passages of the test books, and measure repetition, diversity and copying."""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.evaluation.arguments import run_parser
from mamba_narrative.evaluation.generation import evaluate_generation
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_generation(arguments.run_directory, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return run_parser(
        __doc__ or "",
        "python scripts/evaluate_generation.py --run-directory results/runs/small --tokens results/tokens "
        "--settings '{\"prompts\": 8}' --output-directory results/evaluation/small",
        GenerationSettings,
        "section `evaluation.generation`",
        tokens="train and test token files",
    )


if __name__ == "__main__":
    run_command(main, parser())
