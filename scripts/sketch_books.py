r"""Sketch the word shingles of the kept books of one shard, for finding books that share text.

example:
  python scripts/sketch_books.py --selection results/corpus/selection/000.tsv --stripped results/stripped/000 \
    --manifest results/stripped/000.manifest.tsv --output 000.npz
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.overlap.sketches import sketch_shard
from mamba_narrative.io import recorded_outputs, write_hashes


@recorded_outputs()
def main(
    *,
    selection: Annotated[Path, "the shard's table of select_books"],
    stripped: Annotated[Path, "folder of the shard's stripped texts"],
    manifest: Annotated[Path, "table of the books that have a text"],
    settings: Annotated[DuplicatesSettings, "section `duplicates`"] = DuplicatesSettings(),
    output: Annotated[Path, ".npz file to write"],
    hashes: Annotated[Path | None, "list of the output's SHA-256 to write"] = None,
) -> None:
    sketch_shard(selection, stripped, manifest, settings, output)
    if hashes is not None:
        write_hashes(hashes, [output])


if __name__ == "__main__":
    run_command(main, __doc__)
