"""Write the card (README.md) of a trained model, from the record of its run."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.io import read_json, recorded_outputs, write_text
from mamba_narrative.reporting.run_card import run_card


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    write_text(arguments.output, run_card(read_json(arguments.record)))


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/write_model_card.py --record results/runs/small/run.json "
        "--output results/runs/small/model/README.md",
    )
    command.add_argument("--record", type=Path, required=True, help="run.json of the run")
    command.add_argument("--output", type=Path, required=True, help="where to write the card")
    return command


if __name__ == "__main__":
    run_command(main, parser())
