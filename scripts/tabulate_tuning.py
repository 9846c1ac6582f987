"""Write README.md of a folder of tries from their records.

example:
  python scripts/tabulate_tuning.py workflow/baselines/tuning
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.io import write_text
from mamba_narrative.reporting.tuning import read_tries, tuning_page


def main(folder: Annotated[Path, "folder of the records that try_recipe.py wrote"], /) -> None:
    write_text(folder / "README.md", tuning_page(read_tries(folder)))


if __name__ == "__main__":
    run_command(main, __doc__)
