"""Try a recipe: train one run of a configuration with changed settings on token files, and record how it went.

The record is written after each validation. The model itself is not kept.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.config.chosen_run import chosen_run
from mamba_narrative.errors import UserError
from mamba_narrative.training.launch import start_together
from mamba_narrative.training.run_training import train_run
from mamba_narrative.training.try_record import Try, commit_of_project


def main(arguments: argparse.Namespace) -> int:
    run = chosen_run(arguments.configuration, arguments.run, arguments.set)
    start_together(run.training.processes, run.training.nodes)
    path = arguments.records / f"{arguments.name}.json"
    if path.exists() and not arguments.replace:
        raise UserError(f"{path}: there is a try of this name; choose another name, or --replace")
    recorded = Try(arguments.name, arguments.purpose, path, arguments.commit or commit_of_project())
    with tempfile.TemporaryDirectory() as folder:
        states = arguments.state_directory or Path(folder) / "state"
        return train_run(arguments.name, run, arguments.tokens, Path(folder) / "run", states, recorded)


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/try_recipe.py --name muon --configuration config.yaml workflow/configs/baseline-697.yaml "
        "--run mamba-130m --tokens results/baseline-697/tokens --set training.optimizer=muon --records tries",
    )
    command.add_argument("--name", required=True, help="name of the try, and of its record")
    command.add_argument("--purpose", default="", help="the question that the try answers")
    command.add_argument("--configuration", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    command.add_argument("--run", required=True, help="the run of the configuration to begin from")
    command.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes, such as training.seed=2")
    command.add_argument("--tokens", type=Path, required=True, help="folder of train and validation token files")
    command.add_argument("--records", type=Path, required=True, help="folder for the record <name>.json")
    command.add_argument("--state-directory", type=Path, help="keep the state here, to continue a stopped try")
    command.add_argument("--commit", help="commit of the code, where the project is no repository")
    command.add_argument("--replace", action="store_true", help="replace the record of an earlier try of this name")
    return command


if __name__ == "__main__":
    run_command(main, parser())
