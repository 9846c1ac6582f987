"""Measure how surprising the test books are to a trained run, read whole with carried state."""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import LikelihoodSettings
from mamba_narrative.evaluation.arguments import run_parser
from mamba_narrative.evaluation.likelihood import evaluate_likelihood
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_likelihood(arguments.run_directory, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return run_parser(
        __doc__ or "",
        "python scripts/evaluate_likelihood.py --run-directory results/runs/small --tokens results/tokens "
        "--output-directory results/evaluation/small",
        LikelihoodSettings,
        "section `evaluation.likelihood`",
    )


if __name__ == "__main__":
    run_command(main, parser())
