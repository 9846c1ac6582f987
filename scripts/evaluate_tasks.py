"""Run tasks of lm-evaluation-harness on the model that a run exported (needs requirements-lm-eval.txt)."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.evaluation import TaskSettings
from mamba_narrative.evaluation.tasks import evaluate_tasks
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    evaluate_tasks(arguments.run_directory, arguments.settings, arguments.output_directory)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/evaluate_tasks.py --run-directory results/runs/small --settings "
        """'{"tasks": ["lambada_openai"], "limit": 100}' --output-directory results/evaluation/small""",
    )
    parser.add_argument("--run-directory", type=Path, required=True, help="folder of the run: run.json and model/")
    parser.add_argument(
        "--settings",
        type=settings_argument(TaskSettings),
        required=True,
        help="the section evaluation.tasks as JSON or a file",
    )
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
