"""Write README.md of a folder of tries from their records."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.io import write_text
from mamba_narrative.reporting.tuning import read_tries, tuning_page


def main(arguments: argparse.Namespace) -> None:
    write_text(arguments.folder / "README.md", tuning_page(read_tries(arguments.folder)))


def parser() -> argparse.ArgumentParser:
    command = command_parser(__doc__ or "", "python scripts/tabulate_tuning.py workflow/baselines/tuning")
    command.add_argument("folder", type=Path, help="folder of the records that try_recipe.py wrote")
    return command


if __name__ == "__main__":
    run_command(main, parser())
