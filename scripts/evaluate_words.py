"""Ask a trained run for words that need the story: last words of passages, and names that are met again."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import WordsSettings
from mamba_narrative.evaluation.words import evaluate_words


def main(arguments: argparse.Namespace) -> None:
    evaluate_words(arguments.run_directory, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/evaluate_words.py --run-directory results/runs/small --tokens results/tokens "
        "--output-directory results/evaluation/small",
    )
    parser.add_argument("--run-directory", type=Path, required=True, help="folder of the run: run.json and model/")
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the test token files")
    parser.add_argument(
        "--settings",
        type=settings_argument(WordsSettings),
        default=WordsSettings(),
        help="the section evaluation.words as JSON or a file (default: its defaults)",
    )
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
