r"""Divide the clusters of kept books into training, validation and test, and measure the overlap that is left.

example:
  python scripts/split_books.py --clusters results/corpus/clusters.tsv --sketch-directory results/corpus/sketches \
    --selection-directory results/corpus/selection --shard-names 000 001 --train train.tsv \
    --validation validation.tsv --test test.tsv --summary summary.json --moves moves.tsv --history history.tsv
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.corpus.formats.split_table import SPLITS, Split
from mamba_narrative.corpus.overlap.splits import write_splits
from mamba_narrative.io import recorded_outputs, write_hashes


@recorded_outputs()
def main(
    *,
    clusters: Annotated[Path, "table of find_duplicates"],
    sketch_directory: Annotated[Path, "folder of <shard>.npz"],
    selection_directory: Annotated[Path, "folder of <shard>.tsv"],
    shard_names: Annotated[Sequence[str], "names of all shards"],
    settings: Annotated[SplitsSettings, "section `splits`"] = SplitsSettings(),
    train: Annotated[Path, "manifest of the train books to write"],
    validation: Annotated[Path, "manifest of the validation books to write"],
    test: Annotated[Path, "manifest of the test books to write"],
    summary: Annotated[Path, "JSON file to write: shares, repairs, overlap"],
    moves: Annotated[Path, "table to write: books that changed their split"],
    history: Annotated[Path, "splits of the run before; read and written"],
    hashes: Annotated[Path | None, "list of the manifests' SHA-256 to write"] = None,
) -> None:
    manifests: dict[Split, Path] = dict(zip(SPLITS, (train, validation, test), strict=True))
    inputs = (clusters, sketch_directory, selection_directory, shard_names)
    write_splits(*inputs, settings, manifests, summary, moves, history)
    if hashes is not None:
        write_hashes(hashes, manifests.values())


if __name__ == "__main__":
    run_command(main, __doc__)
