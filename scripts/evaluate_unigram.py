"""Measure the baseline that knows token frequencies alone: likelihood of the test books, and samples.

example:
  python scripts/evaluate_unigram.py --tokens results/tokens --output-directory results/evaluation/unigram
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.unigram import evaluate_unigram
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_unigram)

if __name__ == "__main__":
    run_command(main, __doc__)
