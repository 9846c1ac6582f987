"""Write the tables of the report as CSV and Markdown."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.io import recorded_outputs
from mamba_narrative.reporting.tables.write import write_tables


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    write_tables(
        arguments.results,
        arguments.runs,
        arguments.output,
        arguments.shards,
        arguments.published,
        arguments.tasks,
    )


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/make_tables.py --results results --runs small wide --output results/report/tables",
    )
    command.add_argument("--results", type=Path, required=True, help="results folder that the tables are made from")
    command.add_argument("--runs", nargs="+", required=True, help="runs to compare, in this order")
    command.add_argument("--published", nargs="*", default=[], help="published models to show beside them")
    command.add_argument("--tasks", action="store_true", help="show the tasks of lm-eval that the runs were given")
    command.add_argument("--shards", nargs="+", help="shards whose audits count; default: all in the results folder")
    command.add_argument("--output", type=Path, required=True, help="folder to write <table>.csv and <table>.md to")
    return command


if __name__ == "__main__":
    run_command(main, parser())
