"""Write a trained run as a folder to hand on: transformers' form with a complete card, and mamba-ssm's own format."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.model.export import export_model
from mamba_narrative.reporting.model_card import complete_card


def main(arguments: argparse.Namespace) -> None:
    card = complete_card(arguments.results, arguments.run, arguments.citation)
    export_model(arguments.results / "runs" / arguments.run / "model", card, arguments.output)


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/export_model.py --results results --run mamba-sample --output results/models/mamba-sample",
    )
    command.add_argument("--results", type=Path, required=True, help="results folder with the run and the report")
    command.add_argument("--run", required=True, help="name of the run")
    command.add_argument(
        "--citation",
        type=Path,
        default=Path(__file__).resolve().parents[1] / "CITATION.cff",
        help="what to cite (the project's CITATION.cff)",
    )
    command.add_argument("--output", type=Path, required=True, help="folder to write; an older one is replaced")
    return command


if __name__ == "__main__":
    run_command(main, parser())
