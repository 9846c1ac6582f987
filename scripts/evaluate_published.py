r"""Measure how surprising the test books are to a published model, which may have read them.

example:
  python scripts/evaluate_published.py --model '{"name": "gpt2", "path": "openai-community/gpt2"}' \
    --tokens results/tokens --output-directory results/evaluation/published/gpt2
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.published import evaluate_published
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_published)

if __name__ == "__main__":
    run_command(main, __doc__)
