r"""Write the part of a finished experiment that can be published: manifests, records, curves, measures, figures.

No text of a book is among it: passages are named by their hashes. Weights are not, either; the manifest and the
settings in run.json say how to make them.

example:
  python scripts/publish_baseline.py --results results/baseline-697 --runs mamba-130m transformer-130m \
    --output workflow/baselines/gutenberg-697
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.reporting.baseline import publish_baseline


def main(
    *,
    results: Annotated[Path, "results folder of a finished experiment"],
    runs: Annotated[Sequence[str], "runs to publish; none: the corpus only"] = (),
    output: Annotated[Path, "folder to write; what is there is replaced"],
) -> None:
    publish_baseline(results, runs, output)


if __name__ == "__main__":
    run_command(main, __doc__)
