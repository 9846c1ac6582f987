r"""Ask a trained run whether the true course of the test books is more likely than another: order, next chapters.

example:
  python scripts/evaluate_structure.py --run-directory results/runs/small --tokens results/tokens \
    --output-directory results/evaluation/small
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.structure import evaluate_structure
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_structure)

if __name__ == "__main__":
    run_command(main, __doc__)
