"""Measure what held-out books share with training books, and stop where it is too much."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, run_command
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.corpus.formats.split_table import SPLITS
from mamba_narrative.corpus.overlap.leaks import write_leaks
from mamba_narrative.io import recorded_outputs

EXAMPLE = (
    "python scripts/measure_leaks.py --splits-directory results/splits --selection-directory results/corpus/selection "
    "--shard-names 000 001 --stripped-root results/stripped --table leaks.tsv --summary leaks.json"
)


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    write_leaks(
        {split: arguments.splits_directory / f"{split}.tsv" for split in SPLITS},
        arguments.selection_directory,
        arguments.stripped_root,
        arguments.shard_names,
        arguments.settings,
        arguments.table,
        arguments.summary,
    )


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("--splits-directory", type=Path, required=True, help="folder of <split>.tsv")
    parser.add_argument("--selection-directory", type=Path, required=True, help="folder of <shard>.tsv")
    parser.add_argument("--stripped-root", type=Path, required=True, help="folder of <shard>/<book_id>.txt")
    parser.add_argument("--shard-names", nargs="+", required=True, help="names of all shards")
    add_settings(parser, SplitsSettings, "section `splits`")
    parser.add_argument("--table", type=Path, required=True, help="table to write: one row a held-out book")
    parser.add_argument("--summary", type=Path, required=True, help="JSON file to write: totals and the limit")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
