r"""Try a recipe: train one run of a configuration with changed settings on token files, and record how it went.

The record is written after each validation. The model itself is not kept.

example:
  python scripts/try_recipe.py --name muon --configuration config.yaml workflow/configs/baseline-697.yaml \
    --run mamba-130m --tokens results/baseline-697/tokens --set training.optimizer=muon --records tries
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.chosen_run import chosen_run
from mamba_narrative.errors import UserError
from mamba_narrative.training.launch import start_together
from mamba_narrative.training.run_training import train_run
from mamba_narrative.training.try_record import Try, commit_of_project


def main(
    *,
    name: Annotated[str, "name of the try, and of its record"],
    purpose: Annotated[str, "the question that the try answers"] = "",
    configuration: Annotated[Sequence[Path], "YAML files, later ones on top"],
    run: Annotated[str, "the run of the configuration to begin from"],
    set: Annotated[Sequence[str], "changes KEY=VALUE, such as training.seed=2"] = (),
    tokens: Annotated[Path, "folder of train and validation token files"],
    records: Annotated[Path, "folder for the record <name>.json"],
    state_directory: Annotated[Path | None, "keep the state here, to continue a stopped try"] = None,
    commit: Annotated[str | None, "commit of the code, where the project is no repository"] = None,
    replace: Annotated[bool, "replace the record of an earlier try of this name"] = False,
) -> int:
    chosen = chosen_run(configuration, run, set)
    start_together(chosen.training.processes, chosen.training.nodes)
    path = records / f"{name}.json"
    if path.exists() and not replace:
        raise UserError(f"{path}: there is a try of this name; choose another name, or --replace")
    recorded = Try(name, purpose, path, commit or commit_of_project())
    with tempfile.TemporaryDirectory() as folder:
        states = state_directory or Path(folder) / "state"
        return train_run(name, chosen, tokens, Path(folder) / "run", states, recorded)


if __name__ == "__main__":
    run_command(main, __doc__)
