"""Bring raw books from mirrors of Project Gutenberg or a dataset into a folder, and lock which they are."""

from __future__ import annotations

import argparse

from mamba_narrative.acquisition.acquire import acquire
from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.corpus import CorpusSettings


def main(arguments: argparse.Namespace) -> None:
    acquire(arguments.settings)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        'python scripts/acquire_books.py --settings \'{"source": "gutenberg", "directory": "data/gutenberg", '
        '"choose": {"subjects": ["fiction"], "count": 100}}\'',
    )
    parser.add_argument(
        "--settings", type=settings_argument(CorpusSettings), required=True, help="section `corpus` as JSON or a file"
    )
    return parser


if __name__ == "__main__":
    run_command(main, parser())
