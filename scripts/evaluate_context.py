r"""Measure what the text before is worth to a trained run: contexts, resets, state, shuffled books.

example:
  python scripts/evaluate_context.py --run-directory results/runs/small --tokens results/tokens \
    --output-directory results/evaluation/small
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.context import evaluate_context
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_context)

if __name__ == "__main__":
    run_command(main, __doc__)
