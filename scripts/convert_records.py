"""Give records and results of earlier code the names that settings and numbers have now.

Of each folder, `.json` files and cells of `.csv` and `.tsv` files are rewritten, and hashes of these in other files are
brought up to date. Values stay as they are; a second run changes nothing. A results folder is up to date again, without
another training, by `snakemake --cores 1 --touch` afterwards.

example:
  python scripts/convert_records.py workflow/baselines/gutenberg-697
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.errors import UserError
from mamba_narrative.reporting.old_records import convert_folder

_LOG = logging.getLogger("convert_records")


def main(folders: Annotated[Sequence[Path], "folders of published records or of results"], /) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"{folder}: no such folder; expected published records or results, such as workflow/baselines/NAME"
            )
        _LOG.info("%s: %d files changed", folder, convert_folder(folder))


if __name__ == "__main__":
    run_command(main, __doc__)
