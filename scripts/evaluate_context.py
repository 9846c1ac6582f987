"""Measure what the text before is worth to a trained run: contexts, resets, state, shuffled books."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import ContextSettings
from mamba_narrative.evaluation.context import evaluate_context


def main(arguments: argparse.Namespace) -> None:
    evaluate_context(arguments.run_directory, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/evaluate_context.py --run-directory results/runs/small --tokens results/tokens "
        "--output-directory results/evaluation/small",
    )
    parser.add_argument("--run-directory", type=Path, required=True, help="folder of the run: run.json and model/")
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the test token files")
    parser.add_argument(
        "--settings",
        type=settings_argument(ContextSettings),
        default=ContextSettings(),
        help="the section evaluation.context as JSON or a file (default: its defaults)",
    )
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
