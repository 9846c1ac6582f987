"""Strip the raw books of one shard: decode, remove boilerplate and apparatus, unwrap, and account for it all."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, number_argument, run_command
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.strip.stripping import strip_shard
from mamba_narrative.io import recorded_outputs, write_hashes

EXAMPLE = (
    "python scripts/strip_books.py --source-directory raw --shard 000 --shards 8 --stripped out/000 "
    "--audit out/000.audit.jsonl --chapters out/000.chapters.tsv --manifest out/000.manifest.tsv"
)


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    strip_shard(
        arguments.source_directory,
        arguments.shard,
        arguments.shards,
        arguments.settings,
        arguments.max_book_bytes,
        stripped=arguments.stripped,
        audit=arguments.audit,
        chapters=arguments.chapters,
        manifest=arguments.manifest,
    )
    if arguments.hashes is not None:
        write_hashes(arguments.hashes, [arguments.stripped, arguments.audit, arguments.chapters, arguments.manifest])


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("--source-directory", type=Path, required=True, help="folder of raw books")
    parser.add_argument("--shard", required=True, help="name of the shard, such as 003")
    parser.add_argument("--shards", type=number_argument(int, 1, 4_096), required=True, help="number of shards")
    parser.add_argument(
        "--max-book-bytes",
        type=number_argument(int, 1, 2_000_000_000),
        default=40_000_000,
        help="larger books are refused",
    )
    add_settings(parser, StrippingSettings, "section `stripping`")
    parser.add_argument("--stripped", type=Path, required=True, help="folder of the texts to write")
    parser.add_argument("--audit", type=Path, required=True, help="file to write: one JSON record a book")
    parser.add_argument("--chapters", type=Path, required=True, help="file to write: headings with offsets")
    parser.add_argument("--manifest", type=Path, required=True, help="file to write: hash and size of each text")
    parser.add_argument("--hashes", type=Path, help="list of the SHA-256 of all of these to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
