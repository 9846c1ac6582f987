"""Rank runs on the same books, with paired differences and 95 % intervals, in one or several results folders.

Writes comparison.csv and comparison.md to --output, or the Markdown table to the terminal.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, number_argument, run_command
from mamba_narrative.io import recorded_outputs
from mamba_narrative.reporting.measured_books import find_entries
from mamba_narrative.reporting.tables.ranking import compare_runs, write_comparison


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    entries = find_entries(arguments.results, arguments.runs)
    if arguments.output is None:
        print(compare_runs(entries, arguments.samples, arguments.seed).markdown(), end="")
    else:
        write_comparison(entries, arguments.samples, arguments.seed, arguments.output)


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/compare_runs.py --results results\n"
        "  python scripts/compare_runs.py --results results --runs small wide --output comparison\n"
        "  python scripts/compare_runs.py --results results/mamba-130m results/transformer-130m --output comparison",
    )
    command.add_argument(
        "--results", type=Path, nargs="+", required=True, help="results folders; baselines are those of the first"
    )
    command.add_argument("--runs", nargs="+", help="runs to compare; default: all that were measured")
    command.add_argument(
        "--samples",
        type=number_argument(int, 1, 1_000_000),
        default=2_000,
        help="resamples of the bootstrap (default: 2000)",
    )
    command.add_argument(
        "--seed", type=number_argument(int, 0, 2**63 - 1), default=1, help="seed of the bootstrap (default: 1)"
    )
    command.add_argument("--output", type=Path, help="folder for comparison.csv and comparison.md")
    return command


if __name__ == "__main__":
    run_command(main, parser())
