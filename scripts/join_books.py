r"""Join decisions, clusters, splits and sizes of all raw books to one table for people.

example:
  python scripts/join_books.py --selection-directory results/corpus/selection --shard-names 000 001 \
    --clusters results/corpus/clusters.tsv --splits-directory results/splits --tokens-directory results/tokens \
    --output books.tsv
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.corpus.book_join import join_books
from mamba_narrative.io import recorded_outputs, write_hashes


@recorded_outputs()
def main(
    *,
    selection_directory: Annotated[Path, "folder of <shard>.tsv"],
    shard_names: Annotated[Sequence[str], "names of all shards"],
    clusters: Annotated[Path, "table of find_duplicates"],
    splits_directory: Annotated[Path, "folder of <split>.tsv"],
    tokens_directory: Annotated[Path, "folder of <split>.books.tsv"],
    output: Annotated[Path, "table to write"],
    hashes: Annotated[Path | None, "list of the output's SHA-256 to write"] = None,
) -> None:
    join_books(selection_directory, shard_names, clusters, splits_directory, tokens_directory, output)
    if hashes is not None:
        write_hashes(hashes, [output])


if __name__ == "__main__":
    run_command(main, __doc__)
