"""Make metrics with intervals, and tables, from the sums of one group of measures of a run or baseline."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, run_command
from mamba_narrative.config.evaluation import GROUPS, EvaluationSettings
from mamba_narrative.evaluation.summary import summarise
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    summarise(arguments.directory, arguments.group, getattr(arguments.settings, arguments.group))


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/summarise_evaluation.py --group words --directory results/evaluation/small",
    )
    command.add_argument("--group", choices=list(GROUPS), required=True, help="which measures")
    command.add_argument("--directory", type=Path, required=True, help="folder of the sums, and for the results")
    add_settings(command, EvaluationSettings, "section `evaluation`, of which the group's part counts,")
    return command


if __name__ == "__main__":
    run_command(main, parser())
