"""Copy the books of each split from the shards' token files into one token file a split."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, run_command
from mamba_narrative.config.tokens import TokensSettings
from mamba_narrative.corpus.formats.split_table import SPLITS
from mamba_narrative.io import recorded_outputs
from mamba_narrative.tokens.chapter_headings import collect_chapters
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.tokens.writer import assemble_splits


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    assemble_splits(
        {split: getattr(arguments, split) for split in SPLITS},
        arguments.shard_tokens_directory,
        load_tokenizer(arguments.settings.tokenizer).describe(),
        arguments.output,
    )
    if arguments.stripped_directory is not None:
        collect_chapters(arguments.test, arguments.stripped_directory, arguments.output / "test.chapters.tsv")


def parser() -> argparse.ArgumentParser:
    parser = command_parser(
        __doc__ or "",
        "python scripts/assemble_tokens.py --train results/splits/train.tsv --validation "
        "results/splits/validation.tsv --test results/splits/test.tsv --shard-tokens-directory results/tokens/shards "
        "--stripped-directory results/stripped --output results/tokens",
    )
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=Path, required=True, help=f"table of the {split} books and their shards")
    parser.add_argument("--shard-tokens-directory", type=Path, required=True, help="folder of <shard>.bin, .books.tsv")
    parser.add_argument("--stripped-directory", type=Path, help="folder of <shard>.chapters.tsv, for test.chapters.tsv")
    add_settings(parser, TokensSettings, "section `tokens`")
    parser.add_argument("--output", type=Path, required=True, help="folder for {split}.bin, .json and .books.tsv")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
