r"""Strip the raw books of one shard: decode, remove boilerplate and apparatus, unwrap, and account for it all.

example:
  python scripts/strip_books.py --source-directory raw --shard 000 --shards 8 --stripped out/000 \
    --audit out/000.audit.jsonl --chapters out/000.chapters.tsv --manifest out/000.manifest.tsv
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.argument_types import number_argument
from mamba_narrative.command import run_command
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.strip.stripping import strip_shard
from mamba_narrative.io import recorded_outputs, write_hashes


@recorded_outputs()
def main(
    *,
    source_directory: Annotated[Path, "folder of raw books"],
    shard: Annotated[str, "name of the shard, such as 003"],
    shards: Annotated[int, number_argument(int, 1, 4_096), "number of shards"],
    max_book_bytes: Annotated[int, number_argument(int, 1, 2_000_000_000), "larger books are refused"] = 40_000_000,
    settings: Annotated[StrippingSettings, "section `stripping`"] = StrippingSettings(),
    stripped: Annotated[Path, "folder of the texts to write"],
    audit: Annotated[Path, "file to write: one JSON record a book"],
    chapters: Annotated[Path, "file to write: headings with offsets"],
    manifest: Annotated[Path, "file to write: hash and size of each text"],
    hashes: Annotated[Path | None, "list of the SHA-256 of all of these to write"] = None,
) -> None:
    outputs = {"stripped": stripped, "audit": audit, "chapters": chapters, "manifest": manifest}
    strip_shard(source_directory, shard, shards, settings, max_book_bytes, **outputs)
    if hashes is not None:
        write_hashes(hashes, outputs.values())


if __name__ == "__main__":
    run_command(main, __doc__)
