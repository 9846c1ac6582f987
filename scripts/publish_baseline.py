"""Write the part of a finished experiment that can be published: manifests, records, curves, measures, figures.

No text of a book is among it: passages are named by their hashes. Weights are not, either; the manifest and the
settings in run.json say how to make them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.reporting.baseline import publish_baseline


def main(arguments: argparse.Namespace) -> None:
    publish_baseline(arguments.results, arguments.runs, arguments.output)


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/publish_baseline.py --results results/baseline-697 --runs mamba-130m transformer-130m "
        "--output workflow/baselines/gutenberg-697",
    )
    command.add_argument("--results", type=Path, required=True, help="results folder of a finished experiment")
    command.add_argument("--runs", nargs="*", default=[], help="runs to publish; none: the corpus only")
    command.add_argument("--output", type=Path, required=True, help="folder to write; what is there is replaced")
    return command


if __name__ == "__main__":
    run_command(main, parser())
