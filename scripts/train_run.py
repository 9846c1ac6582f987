"""Train one named run and write its model, tables and record.

SIGTERM, SIGUSR1 and Ctrl-C end the current step, save the state below --state-directory and exit with code 75; the same
command continues from there. A run that dies in any other way continues from its newest checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.runs import RunSettings
from mamba_narrative.tokens.staging import staged_tokens
from mamba_narrative.training.launch import start_together
from mamba_narrative.training.run_training import train_run


def main(arguments: argparse.Namespace) -> int:
    run = arguments.settings.root
    start_together(run.training.processes, run.training.nodes)
    with staged_tokens(arguments.tokens, ("train", "validation"), arguments.staging_directory) as tokens:
        return train_run(arguments.run, run, tokens, arguments.output, arguments.state_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        """python scripts/train_run.py --run small --settings '{"architecture": "mamba", "model": {"d_model": 192}}' """
        "--tokens results/tokens --output results/runs/small --state-directory results/state/small",
    )
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument(
        "--settings", type=settings_argument(RunSettings), required=True, help="the run's settings as JSON or a file"
    )
    parser.add_argument("--tokens", type=Path, required=True, help="folder of train and validation token files")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--state-directory", type=Path, required=True, help="folder for the state of an unfinished run")
    parser.add_argument(
        "--staging-directory", default="", help="folder on a disk of the machine to copy the token files to first"
    )
    return parser


if __name__ == "__main__":
    run_command(main, parser())
