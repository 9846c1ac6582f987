"""Divide the clusters of kept books into training, validation and test, and measure the overlap that is left."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, run_command
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.corpus.formats.split_table import SPLITS, Split
from mamba_narrative.corpus.overlap.splits import write_splits
from mamba_narrative.io import recorded_outputs, write_hashes

EXAMPLE = (
    "python scripts/split_books.py --clusters results/corpus/clusters.tsv --sketch-directory results/corpus/sketches "
    "--selection-directory results/corpus/selection --shard-names 000 001 --train train.tsv "
    "--validation validation.tsv --test test.tsv --summary summary.json --moves moves.tsv --history history.tsv"
)


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    manifests: dict[Split, Path] = {split: getattr(arguments, split) for split in SPLITS}
    write_splits(
        arguments.clusters,
        arguments.sketch_directory,
        arguments.selection_directory,
        arguments.shard_names,
        arguments.settings,
        manifests,
        arguments.summary,
        arguments.moves,
        arguments.history,
    )
    if arguments.hashes is not None:
        write_hashes(arguments.hashes, manifests.values())


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("--clusters", type=Path, required=True, help="table of find_duplicates")
    parser.add_argument("--sketch-directory", type=Path, required=True, help="folder of <shard>.npz")
    parser.add_argument("--selection-directory", type=Path, required=True, help="folder of <shard>.tsv")
    parser.add_argument("--shard-names", nargs="+", required=True, help="names of all shards")
    add_settings(parser, SplitsSettings, "section `splits`")
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=Path, required=True, help=f"manifest of the {split} books to write")
    parser.add_argument("--summary", type=Path, required=True, help="JSON file to write: shares, repairs, overlap")
    parser.add_argument("--moves", type=Path, required=True, help="table to write: books that changed their split")
    parser.add_argument("--history", type=Path, required=True, help="splits of the run before; read and written")
    parser.add_argument("--hashes", type=Path, help="list of the manifests' SHA-256 to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
