"""Measure the true continuations of the passages that models continue, as the scale for their statistics."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.evaluation.human import evaluate_human


def main(arguments: argparse.Namespace) -> None:
    evaluate_human(arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/evaluate_human.py --tokens results/tokens --output-directory results/evaluation/human",
    )
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
