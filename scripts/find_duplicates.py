r"""Find the kept books that share text: clusters of them, and the pairs with their measured overlap.

example:
  python scripts/find_duplicates.py --sketch-directory results/corpus/sketches \
    --selection-directory results/corpus/selection --stripped-root results/stripped --shard-names 000 001 \
    --clusters clusters.tsv --duplicates duplicates.tsv
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.overlap.duplicates import write_duplicates
from mamba_narrative.io import recorded_outputs, write_hashes


@recorded_outputs()
def main(
    *,
    sketch_directory: Annotated[Path, "folder of <shard>.npz"],
    selection_directory: Annotated[Path, "folder of <shard>.tsv"],
    stripped_root: Annotated[Path, "folder of <shard>/<book_id>.txt"],
    shard_names: Annotated[Sequence[str], "names of all shards"],
    settings: Annotated[DuplicatesSettings, "section `duplicates`"] = DuplicatesSettings(),
    clusters: Annotated[Path, "table to write: cluster and role of each book"],
    duplicates: Annotated[Path, "table to write: pairs of books that share text"],
    hashes: Annotated[Path | None, "list of the outputs' SHA-256 to write"] = None,
) -> None:
    write_duplicates(sketch_directory, selection_directory, stripped_root, shard_names, settings, clusters, duplicates)
    if hashes is not None:
        write_hashes(hashes, [clusters, duplicates])


if __name__ == "__main__":
    run_command(main, __doc__)
