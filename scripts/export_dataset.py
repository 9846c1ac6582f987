r"""Write the splits as a folder of Parquet files that `datasets.load_dataset` reads, with a dataset card.

example:
  python scripts/export_dataset.py --books results/corpus/books.tsv --splits-directory results/splits \
    --selection-directory results/corpus/selection --stripped-root results/stripped --shard-names 000 001 \
    --output results/dataset
"""

from mamba_narrative.command import run_command
from mamba_narrative.corpus.dataset_export import export_dataset

main = export_dataset

if __name__ == "__main__":
    run_command(main, __doc__)
