r"""Measure how surprising the test books are to a trained run, read whole with carried state.

example:
  python scripts/evaluate_likelihood.py --run-directory results/runs/small --tokens results/tokens \
    --output-directory results/evaluation/small
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.likelihood import evaluate_likelihood
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_likelihood)

if __name__ == "__main__":
    run_command(main, __doc__)
