"""Measure the true continuations of the passages that models continue, as the scale for their statistics.

example:
  python scripts/evaluate_human.py --tokens results/tokens --output-directory results/evaluation/human
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.human import evaluate_human
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_human)

if __name__ == "__main__":
    run_command(main, __doc__)
