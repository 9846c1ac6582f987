"""Ask a trained run whether the true course of the test books is more likely than another: order, next chapters."""

from __future__ import annotations

import argparse

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import StructureSettings
from mamba_narrative.evaluation.arguments import run_parser
from mamba_narrative.evaluation.structure import evaluate_structure
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_structure(arguments.run_directory, arguments.tokens, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    return run_parser(
        __doc__ or "",
        "python scripts/evaluate_structure.py --run-directory results/runs/small --tokens results/tokens "
        "--output-directory results/evaluation/small",
        StructureSettings,
        "section `evaluation.structure`",
        tokens="test token files with their chapters",
    )


if __name__ == "__main__":
    run_command(main, parser())
