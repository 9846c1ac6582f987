"""Measure the baseline that knows token frequencies alone: likelihood of the test books, and samples."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import EvaluationSettings
from mamba_narrative.evaluation.unigram import evaluate_unigram


def main(arguments: argparse.Namespace) -> None:
    evaluate_unigram(arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/evaluate_unigram.py --tokens results/tokens --output-directory results/evaluation/unigram",
    )
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the train and test token files")
    parser.add_argument(
        "--settings",
        type=settings_argument(EvaluationSettings),
        default=EvaluationSettings(),
        help="the section evaluation as JSON or a file (default: its defaults)",
    )
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
