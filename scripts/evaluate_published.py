"""Measure how surprising the test books are to a published model, which may have read them."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import LikelihoodSettings, PublishedModel
from mamba_narrative.evaluation.published import evaluate_published
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_published(arguments.model, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        """python scripts/evaluate_published.py --model '{"name": "gpt2", "path": "openai-community/gpt2"}' """
        "--tokens results/tokens --output-directory results/evaluation/published/gpt2",
    )
    parser.add_argument(
        "--model",
        type=settings_argument(PublishedModel),
        required=True,
        help="an entry of evaluation.published as JSON or a file: name, path (folder or hub name), tokenizer",
    )
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the test token files")
    parser.add_argument(
        "--settings",
        type=settings_argument(LikelihoodSettings),
        default=LikelihoodSettings(),
        help="the section evaluation.likelihood as JSON or a file (default: its defaults)",
    )
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
