"""Measure what the text before is worth to a trained run: contexts, resets, state, shuffled books."""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import ContextSettings
from mamba_narrative.evaluation.arguments import run_parser
from mamba_narrative.evaluation.context import evaluate_context
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_context(arguments.run_directory, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return run_parser(
        __doc__ or "",
        "python scripts/evaluate_context.py --run-directory results/runs/small --tokens results/tokens "
        "--output-directory results/evaluation/small",
        ContextSettings,
        "section `evaluation.context`",
    )


if __name__ == "__main__":
    run_command(main, parser())
