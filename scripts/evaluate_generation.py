r"""Let a trained run continue passages of the test books, and measure repetition, diversity and copying.

example:
  python scripts/evaluate_generation.py --run-directory results/runs/small --tokens results/tokens \
    --settings '{"prompts": 8}' --output-directory results/evaluation/small
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.generation import evaluate_generation
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_generation)

if __name__ == "__main__":
    run_command(main, __doc__)
