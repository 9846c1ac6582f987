"""Rank runs on the same books, with paired differences and 95 % intervals, in one or several results folders.

Writes comparison.csv and comparison.md to --output, or the Markdown table to the terminal.

example:
  python scripts/compare_runs.py --results results
  python scripts/compare_runs.py --results results --runs small wide --output comparison
  python scripts/compare_runs.py --results results/mamba-130m results/transformer-130m --output comparison
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.argument_types import number_argument
from mamba_narrative.command import run_command
from mamba_narrative.io import recorded_outputs
from mamba_narrative.reporting.measured_books import find_entries
from mamba_narrative.reporting.tables.ranking import compare_runs, write_comparison


@recorded_outputs()
def main(
    *,
    results: Annotated[Sequence[Path], "results folders; baselines are those of the first"],
    runs: Annotated[Sequence[str] | None, "runs to compare; default: all that were measured"] = None,
    samples: Annotated[int, number_argument(int, 1, 1_000_000), "resamples of the bootstrap"] = 2_000,
    seed: Annotated[int, number_argument(int, 0, 2**63 - 1), "seed of the bootstrap"] = 1,
    output: Annotated[Path | None, "folder for comparison.csv and comparison.md"] = None,
) -> None:
    entries = find_entries(results, runs)
    if output is None:
        print(compare_runs(entries, samples, seed).markdown(), end="")
    else:
        write_comparison(entries, samples, seed, output)


if __name__ == "__main__":
    run_command(main, __doc__)
