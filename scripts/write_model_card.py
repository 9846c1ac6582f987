"""Write the card (README.md) of a trained model, from the record of its run.

example:
  python scripts/write_model_card.py --record results/runs/small/run.json --output results/runs/small/model/README.md
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.io import read_json, recorded_outputs, write_text
from mamba_narrative.reporting.run_card import run_card


@recorded_outputs()
def main(*, record: Annotated[Path, "run.json of the run"], output: Annotated[Path, "where to write the card"]) -> None:
    write_text(output, run_card(read_json(record)))


if __name__ == "__main__":
    run_command(main, __doc__)
