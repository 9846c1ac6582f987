"""Measure the baseline that counts runs of tokens in the training books (Kneser-Ney): likelihood of the test books."""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import LikelihoodBaselines
from mamba_narrative.evaluation.arguments import baseline_parser
from mamba_narrative.evaluation.ngram import evaluate_ngram
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_ngram(arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return baseline_parser(
        __doc__ or "",
        "python scripts/evaluate_ngram.py --tokens results/tokens --output-directory results/evaluation/ngram",
        LikelihoodBaselines,
        "sections `likelihood` and `baselines` of `evaluation`",
    )


if __name__ == "__main__":
    run_command(main, parser())
