r"""Copy the books of each split from the shards' token files into one token file a split.

example:
  python scripts/assemble_tokens.py --train results/splits/train.tsv --validation results/splits/validation.tsv \
    --test results/splits/test.tsv --shard-tokens-directory results/tokens/shards \
    --stripped-directory results/stripped --output results/tokens
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.tokens import TokensSettings
from mamba_narrative.corpus.formats.split_table import SPLITS
from mamba_narrative.io import recorded_outputs
from mamba_narrative.tokens.chapter_headings import collect_chapters
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.tokens.writer import assemble_splits


@recorded_outputs()
def main(
    *,
    train: Annotated[Path, "table of the train books and their shards"],
    validation: Annotated[Path, "table of the validation books and their shards"],
    test: Annotated[Path, "table of the test books and their shards"],
    shard_tokens_directory: Annotated[Path, "folder of <shard>.bin, .books.tsv"],
    stripped_directory: Annotated[Path | None, "folder of <shard>.chapters.tsv, for test.chapters.tsv"] = None,
    settings: Annotated[TokensSettings, "section `tokens`"] = TokensSettings(),
    output: Annotated[Path, "folder for {split}.bin, .json and .books.tsv"],
) -> None:
    splits: dict[str, Path] = dict(zip(SPLITS, (train, validation, test), strict=True))
    assemble_splits(splits, shard_tokens_directory, load_tokenizer(settings.tokenizer).describe(), output)
    if stripped_directory is not None:
        collect_chapters(test, stripped_directory, output / "test.chapters.tsv")


if __name__ == "__main__":
    run_command(main, __doc__)
