"""Find the kept books that share text: clusters of them, and the pairs with their measured overlap."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, run_command
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.overlap.duplicates import write_duplicates
from mamba_narrative.io import recorded_outputs, write_hashes

EXAMPLE = (
    "python scripts/find_duplicates.py --sketch-directory results/corpus/sketches --selection-directory "
    "results/corpus/selection --stripped-root results/stripped --shard-names 000 001 "
    "--clusters clusters.tsv --duplicates duplicates.tsv"
)


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    write_duplicates(
        arguments.sketch_directory,
        arguments.selection_directory,
        arguments.stripped_root,
        arguments.shard_names,
        arguments.settings,
        arguments.clusters,
        arguments.duplicates,
    )
    if arguments.hashes is not None:
        write_hashes(arguments.hashes, [arguments.clusters, arguments.duplicates])


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("--sketch-directory", type=Path, required=True, help="folder of <shard>.npz")
    parser.add_argument("--selection-directory", type=Path, required=True, help="folder of <shard>.tsv")
    parser.add_argument("--stripped-root", type=Path, required=True, help="folder of <shard>/<book_id>.txt")
    parser.add_argument("--shard-names", nargs="+", required=True, help="names of all shards")
    add_settings(parser, DuplicatesSettings, "section `duplicates`")
    parser.add_argument("--clusters", type=Path, required=True, help="table to write: cluster and role of each book")
    parser.add_argument("--duplicates", type=Path, required=True, help="table to write: pairs of books that share text")
    parser.add_argument("--hashes", type=Path, help="list of the outputs' SHA-256 to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
