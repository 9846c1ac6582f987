"""Sketch the word shingles of the kept books of one shard, for finding books that share text."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, run_command
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.overlap.sketches import sketch_shard
from mamba_narrative.io import recorded_outputs, write_hashes

EXAMPLE = (
    "python scripts/sketch_books.py --selection results/corpus/selection/000.tsv --stripped results/stripped/000 "
    "--manifest results/stripped/000.manifest.tsv --output 000.npz"
)


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    sketch_shard(arguments.selection, arguments.stripped, arguments.manifest, arguments.settings, arguments.output)
    if arguments.hashes is not None:
        write_hashes(arguments.hashes, [arguments.output])


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("--selection", type=Path, required=True, help="the shard's table of select_books")
    parser.add_argument("--stripped", type=Path, required=True, help="folder of the shard's stripped texts")
    parser.add_argument("--manifest", type=Path, required=True, help="table of the books that have a text")
    add_settings(parser, DuplicatesSettings, "section `duplicates`")
    parser.add_argument("--output", type=Path, required=True, help=".npz file to write")
    parser.add_argument("--hashes", type=Path, help="list of the output's SHA-256 to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
