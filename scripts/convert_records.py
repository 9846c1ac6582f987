"""Give records and results of earlier code the names that settings and numbers have now.

Of each folder, `.json` files and cells of `.csv` and `.tsv` files are rewritten, and hashes of these in other files are
brought up to date. Values stay as they are; a second run changes nothing. A results folder is up to date again, without
another training, by `snakemake --cores 1 --touch` afterwards.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.errors import UserError
from mamba_narrative.reporting.old_records import convert_folder

_LOG = logging.getLogger("convert_records")


def main(arguments: argparse.Namespace) -> None:
    for folder in arguments.folders:
        if not folder.is_dir():
            raise UserError(
                f"{folder}: no such folder; expected published records or results, such as workflow/baselines/NAME"
            )
        _LOG.info("%s: %d files changed", folder, convert_folder(folder))


def parser() -> argparse.ArgumentParser:
    command = command_parser(__doc__ or "", "python scripts/convert_records.py workflow/baselines/gutenberg-697")
    command.add_argument("folders", type=Path, nargs="+", help="folders of published records or of results")
    return command


if __name__ == "__main__":
    run_command(main, parser())
