"""Decide which books of one shard are English narrative prose: keep, partial or drop, with reasons and scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, run_command
from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.corpus.select.selection import select_shard
from mamba_narrative.io import recorded_outputs

EXAMPLE = (
    "python scripts/select_books.py --audit results/stripped/000.audit.jsonl --stripped results/stripped/000 "
    "--manifest results/stripped/000.manifest.tsv --chapters results/stripped/000.chapters.tsv "
    "--catalogue pg_catalog.csv --output 000.tsv"
)


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    select_shard(
        arguments.audit,
        arguments.stripped,
        arguments.manifest,
        arguments.chapters,
        arguments.catalogue,
        arguments.settings,
        arguments.output,
    )


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("--audit", type=Path, required=True, help="audit of strip_books, one record a raw book")
    parser.add_argument("--stripped", type=Path, required=True, help="folder of the shard's stripped texts")
    parser.add_argument("--manifest", type=Path, required=True, help="table of the books that have a text")
    parser.add_argument("--chapters", type=Path, required=True, help="table of chapter headings")
    parser.add_argument("--catalogue", type=Path, help="CSV file with Project Gutenberg's own columns")
    add_settings(parser, SelectionSettings, "section `selection`")
    parser.add_argument("--output", type=Path, required=True, help="table to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
