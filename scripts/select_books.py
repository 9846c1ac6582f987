r"""Decide which books of one shard are English narrative prose: keep, partial or drop, with reasons and scores.

example:
  python scripts/select_books.py --audit results/stripped/000.audit.jsonl --stripped results/stripped/000 \
    --manifest results/stripped/000.manifest.tsv --chapters results/stripped/000.chapters.tsv \
    --catalogue pg_catalog.csv --output 000.tsv
"""

from mamba_narrative.command import run_command
from mamba_narrative.corpus.select.selection import select_shard
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(select_shard)

if __name__ == "__main__":
    run_command(main, __doc__)
