r"""Ask a trained run for words that need the story: last words of passages, and names that are met again.

example:
  python scripts/evaluate_words.py --run-directory results/runs/small --tokens results/tokens \
    --output-directory results/evaluation/small
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.words import evaluate_words
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_words)

if __name__ == "__main__":
    run_command(main, __doc__)
