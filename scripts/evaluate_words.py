"""Ask a trained run for words that need the story: last words of passages, and names that are met again."""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import WordsSettings
from mamba_narrative.evaluation.arguments import run_parser
from mamba_narrative.evaluation.words import evaluate_words
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_words(arguments.run_directory, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return run_parser(
        __doc__ or "",
        "python scripts/evaluate_words.py --run-directory results/runs/small --tokens results/tokens "
        "--output-directory results/evaluation/small",
        WordsSettings,
        "section `evaluation.words`",
    )


if __name__ == "__main__":
    run_command(main, parser())
