"""Measure the baseline that counts runs of tokens in the training books (Kneser-Ney): likelihood of the test books."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import LikelihoodBaselines
from mamba_narrative.evaluation.ngram import evaluate_ngram


def main(arguments: argparse.Namespace) -> None:
    evaluate_ngram(arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/evaluate_ngram.py --tokens results/tokens --output-directory results/evaluation/ngram",
    )
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the train and test token files")
    parser.add_argument(
        "--settings",
        type=settings_argument(LikelihoodBaselines),
        default=LikelihoodBaselines(),
        help="the sections likelihood and baselines of evaluation as JSON or a file (default: its defaults)",
    )
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
