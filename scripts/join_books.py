"""Join decisions, clusters, splits and sizes of all raw books to one table for people."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.corpus.book_join import join_books
from mamba_narrative.io import recorded_outputs, write_hashes

EXAMPLE = (
    "python scripts/join_books.py --selection-directory results/corpus/selection --shard-names 000 001 "
    "--clusters results/corpus/clusters.tsv --splits-directory results/splits --tokens-directory results/tokens "
    "--output books.tsv"
)


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    join_books(
        arguments.selection_directory,
        arguments.shard_names,
        arguments.clusters,
        arguments.splits_directory,
        arguments.tokens_directory,
        arguments.output,
    )
    if arguments.hashes is not None:
        write_hashes(arguments.hashes, [arguments.output])


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("--selection-directory", type=Path, required=True, help="folder of <shard>.tsv")
    parser.add_argument("--shard-names", nargs="+", required=True, help="names of all shards")
    parser.add_argument("--clusters", type=Path, required=True, help="table of find_duplicates")
    parser.add_argument("--splits-directory", type=Path, required=True, help="folder of <split>.tsv")
    parser.add_argument("--tokens-directory", type=Path, required=True, help="folder of <split>.books.tsv")
    parser.add_argument("--output", type=Path, required=True, help="table to write")
    parser.add_argument("--hashes", type=Path, help="list of the output's SHA-256 to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
