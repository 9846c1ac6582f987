"""Write the tables of a published baseline into pages: README.md, BASELINE.md.

They stand between `<!-- baseline: headline -->` (or `all`, `training`) and `<!-- /baseline -->`; nothing else changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.io import read_text, write_text
from mamba_narrative.reporting.baseline_tables import update_page


def main(arguments: argparse.Namespace) -> None:
    for path in arguments.pages:
        write_text(path, update_page(read_text(path), arguments.baseline))


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/tabulate_baseline.py --baseline workflow/baselines/gutenberg-697 README.md BASELINE.md",
    )
    command.add_argument("--baseline", type=Path, required=True, help="folder that publish_baseline.py wrote")
    command.add_argument("pages", type=Path, nargs="+", help="Markdown files")
    return command


if __name__ == "__main__":
    run_command(main, parser())
