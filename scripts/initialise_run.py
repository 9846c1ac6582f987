"""Write the initial weights of a run as a run of its own: the untrained baseline.

example:
  python scripts/initialise_run.py --like small --settings '{"architecture": "mamba"}' --output results/runs/untrained
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.runs import RunSettings
from mamba_narrative.evaluation.untrained import initialise_run
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(
    *,
    like: Annotated[str, "name of the run whose initial weights these are"],
    settings: Annotated[RunSettings, "that run's settings"],
    tokenizer: Annotated[str, "name of the tokenizer"] = "gpt2",
    output: Annotated[Path, "folder for the results"],
) -> None:
    initialise_run(like, settings.root, tokenizer, output)


if __name__ == "__main__":
    run_command(main, __doc__)
