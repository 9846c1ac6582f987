"""Make metrics with intervals, and tables, from the sums of one group of measures of a run or baseline.

example:
  python scripts/summarise_evaluation.py --group words --directory results/evaluation/small
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.evaluation import GROUPS, EvaluationSettings
from mamba_narrative.evaluation.summary import summarise
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(
    *,
    group: Annotated[str, list(GROUPS), "which measures"],
    directory: Annotated[Path, "folder of the sums, and for the results"],
    settings: Annotated[
        EvaluationSettings, "section `evaluation`, of which the group's part counts,"
    ] = EvaluationSettings(),
) -> None:
    summarise(directory, group, getattr(settings, group))


if __name__ == "__main__":
    run_command(main, __doc__)
