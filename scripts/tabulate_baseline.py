"""Write the tables of a published baseline into pages: README.md, BASELINE.md.

They stand between `<!-- baseline: headline -->` (or `all`, `training`) and `<!-- /baseline -->`; nothing else changes.

example:
  python scripts/tabulate_baseline.py --baseline workflow/baselines/gutenberg-697 README.md BASELINE.md
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.io import read_text, write_text
from mamba_narrative.reporting.baseline_tables import update_page


def main(
    pages: Annotated[Sequence[Path], "Markdown files"],
    /,
    *,
    baseline: Annotated[Path, "folder that publish_baseline.py wrote"],
) -> None:
    for path in pages:
        write_text(path, update_page(read_text(path), baseline))


if __name__ == "__main__":
    run_command(main, __doc__)
