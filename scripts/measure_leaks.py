r"""Measure what held-out books share with training books, and stop where it is too much.

example:
  python scripts/measure_leaks.py --splits-directory results/splits --selection-directory results/corpus/selection \
    --shard-names 000 001 --stripped-root results/stripped --table leaks.tsv --summary leaks.json
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.corpus.formats.split_table import SPLITS
from mamba_narrative.corpus.overlap.leaks import write_leaks
from mamba_narrative.io import recorded_outputs


@recorded_outputs()
def main(
    *,
    splits_directory: Annotated[Path, "folder of <split>.tsv"],
    selection_directory: Annotated[Path, "folder of <shard>.tsv"],
    stripped_root: Annotated[Path, "folder of <shard>/<book_id>.txt"],
    shard_names: Annotated[Sequence[str], "names of all shards"],
    settings: Annotated[SplitsSettings, "section `splits`"] = SplitsSettings(),
    table: Annotated[Path, "table to write: one row a held-out book"],
    summary: Annotated[Path, "JSON file to write: totals and the limit"],
) -> None:
    manifests = {split: splits_directory / f"{split}.tsv" for split in SPLITS}
    write_leaks(manifests, selection_directory, stripped_root, shard_names, settings, table, summary)


if __name__ == "__main__":
    run_command(main, __doc__)
