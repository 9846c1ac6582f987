r"""Train one named run and write its model, tables and record.

SIGTERM, SIGUSR1 and Ctrl-C end the current step, save the state below --state-directory and exit with code 75; the same
command continues from there. A run that dies in any other way continues from its newest checkpoint.

example:
  python scripts/train_run.py --run small --settings '{"architecture": "mamba", "model": {"d_model": 192}}' \
    --tokens results/tokens --output results/runs/small --state-directory results/state/small
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.runs import RunSettings
from mamba_narrative.tokens.staging import staged_tokens
from mamba_narrative.training.launch import start_together
from mamba_narrative.training.run_training import train_run


def main(
    *,
    run: Annotated[str, "name of the run"],
    settings: Annotated[RunSettings, "the run's settings"],
    tokens: Annotated[Path, "folder of train and validation token files"],
    output: Annotated[Path, "folder for the results"],
    state_directory: Annotated[Path, "folder for the state of an unfinished run"],
    staging_directory: Annotated[str, "folder on a disk of the machine to copy the token files to first"] = "",
) -> int:
    start_together(settings.root.training.processes, settings.root.training.nodes)
    with staged_tokens(tokens, ("train", "validation"), staging_directory) as staged:
        return train_run(run, settings.root, staged, output, state_directory)


if __name__ == "__main__":
    run_command(main, __doc__)
