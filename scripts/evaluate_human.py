"""Measure the true continuations of the passages that models continue, as the scale for their statistics."""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.evaluation.arguments import baseline_parser
from mamba_narrative.evaluation.human import evaluate_human
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_human(arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return baseline_parser(
        __doc__ or "",
        "python scripts/evaluate_human.py --tokens results/tokens --output-directory results/evaluation/human",
        GenerationSettings,
        "section `evaluation.generation`",
    )


if __name__ == "__main__":
    run_command(main, parser())
