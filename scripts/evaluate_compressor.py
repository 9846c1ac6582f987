"""Measure the baseline that compresses the test books with xz, alone and after text of the training books.

Each has a folder of its own below the folder for the results: xz, xz-after-training.
"""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import LikelihoodBaselines
from mamba_narrative.evaluation.arguments import baseline_parser
from mamba_narrative.evaluation.compressor import evaluate_compressor
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_compressor(arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return baseline_parser(
        __doc__ or "",
        "python scripts/evaluate_compressor.py --tokens results/tokens --output-directory results/evaluation",
        LikelihoodBaselines,
        "sections `likelihood` and `baselines` of `evaluation`",
    )


if __name__ == "__main__":
    run_command(main, parser())
