"""Measure the baseline that knows token frequencies alone: likelihood of the test books, and samples."""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import EvaluationSettings
from mamba_narrative.evaluation.arguments import baseline_parser
from mamba_narrative.evaluation.unigram import evaluate_unigram
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_unigram(arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return baseline_parser(
        __doc__ or "",
        "python scripts/evaluate_unigram.py --tokens results/tokens --output-directory results/evaluation/unigram",
        EvaluationSettings,
        "section `evaluation`",
    )


if __name__ == "__main__":
    run_command(main, parser())
