"""Turn the selected books of one shard into token ids, each book closed by an end-of-text token."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, run_command
from mamba_narrative.config.tokens import TokensSettings
from mamba_narrative.io import recorded_outputs, write_hashes
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.tokens.writer import encode_books


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    encode_books(
        arguments.selection,
        arguments.stripped,
        arguments.manifest,
        load_tokenizer(arguments.settings.tokenizer),
        arguments.tokens,
        arguments.books,
    )
    if arguments.hashes is not None:
        write_hashes(arguments.hashes, [arguments.tokens, arguments.books])


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/encode_books.py --selection results/corpus/selection/000.tsv --stripped results/stripped/000 "
        "--manifest results/stripped/000.manifest.tsv --tokens results/tokens/shards/000.bin "
        "--books results/tokens/shards/000.books.tsv",
    )
    parser.add_argument("--selection", type=Path, required=True, help="table of decisions")
    parser.add_argument("--stripped", type=Path, required=True, help="folder of stripped texts")
    parser.add_argument("--manifest", type=Path, required=True, help="table of the stripped texts' hashes and sizes")
    add_settings(parser, TokensSettings, "section `tokens`")
    parser.add_argument("--tokens", type=Path, required=True, help="token file to write")
    parser.add_argument("--books", type=Path, required=True, help="table of its books to write")
    parser.add_argument("--hashes", type=Path, help="list of the outputs' SHA-256 to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
