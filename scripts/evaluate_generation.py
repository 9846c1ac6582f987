"""Let a trained run continue passages of the test books, and measure repetition, diversity and copying."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.evaluation.generation import evaluate_generation


def main(arguments: argparse.Namespace) -> None:
    evaluate_generation(arguments.run_directory, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/evaluate_generation.py --run-directory results/runs/small --tokens results/tokens "
        "--settings '{\"prompts\": 8}' --output-directory results/evaluation/small",
    )
    parser.add_argument("--run-directory", type=Path, required=True, help="folder of the run: run.json and model/")
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the train and test token files")
    parser.add_argument(
        "--settings",
        type=settings_argument(GenerationSettings),
        default=GenerationSettings(),
        help="the section evaluation.generation as JSON or a file (default: its defaults)",
    )
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
