"""Measure the baseline that compresses the test books with xz, alone and after text of the training books.

Each has a folder of its own below the folder for the results: xz, xz-after-training.

example:
  python scripts/evaluate_compressor.py --tokens results/tokens --output-directory results/evaluation
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.compressor import evaluate_compressor
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_compressor)

if __name__ == "__main__":
    run_command(main, __doc__)
