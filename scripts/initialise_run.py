"""Write the initial weights of a run as a run of its own: the untrained baseline."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.runs import RunSettings
from mamba_narrative.evaluation.untrained import initialise_run
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    initialise_run(arguments.like, arguments.settings.root, arguments.tokenizer, arguments.output)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        """python scripts/initialise_run.py --like small --settings '{"architecture": "mamba"}' """
        "--output results/runs/untrained",
    )
    parser.add_argument("--like", required=True, help="name of the run whose initial weights these are")
    parser.add_argument(
        "--settings", type=settings_argument(RunSettings), required=True, help="that run's settings as JSON or a file"
    )
    parser.add_argument("--tokenizer", default="gpt2", help="name of the tokenizer (default: gpt2)")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
