"""Measure the baseline that counts runs of tokens in the training books (Kneser-Ney): likelihood of the test books.

example:
  python scripts/evaluate_ngram.py --tokens results/tokens --output-directory results/evaluation/ngram
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.ngram import evaluate_ngram
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_ngram)

if __name__ == "__main__":
    run_command(main, __doc__)
