"""Write the splits as a folder of Parquet files that `datasets.load_dataset` reads, with a dataset card."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.corpus.dataset_export import export_dataset


def main(arguments: argparse.Namespace) -> None:
    export_dataset(
        arguments.books,
        arguments.splits_directory,
        arguments.selection_directory,
        arguments.stripped_root,
        arguments.shard_names,
        arguments.output,
    )


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/export_dataset.py --books results/corpus/books.tsv --splits-directory results/splits "
        "--selection-directory results/corpus/selection --stripped-root results/stripped --shard-names 000 001 "
        "--output results/dataset",
    )
    parser.add_argument("--books", type=Path, required=True, help="table of all books")
    parser.add_argument("--splits-directory", type=Path, required=True, help="folder of the splits' manifests")
    parser.add_argument("--selection-directory", type=Path, required=True, help="folder of <shard>.tsv")
    parser.add_argument("--stripped-root", type=Path, required=True, help="folder of <shard>/<book>.txt")
    parser.add_argument("--shard-names", nargs="+", required=True, help="names of all shards")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
