"""Measure the baseline that compresses the test books with xz, alone and after text of the training books."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import LikelihoodBaselines
from mamba_narrative.evaluation.compressor import evaluate_compressor


def main(arguments: argparse.Namespace) -> None:
    evaluate_compressor(arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/evaluate_compressor.py --tokens results/tokens --output-directory results/evaluation",
    )
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the train and test token files")
    parser.add_argument(
        "--settings",
        type=settings_argument(LikelihoodBaselines),
        default=LikelihoodBaselines(),
        help="the sections likelihood and baselines of evaluation as JSON or a file (default: its defaults)",
    )
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the folders of results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
