r"""Run tasks of lm-evaluation-harness on the model that a run exported (needs requirements-lm-eval.txt).

example:
  python scripts/evaluate_tasks.py --run-directory results/runs/small \
    --settings '{"tasks": ["lambada_openai"], "limit": 100}' --output-directory results/evaluation/small
"""

from mamba_narrative.command import run_command
from mamba_narrative.evaluation.tasks import evaluate_tasks
from mamba_narrative.io import recorded_outputs

main = recorded_outputs()(evaluate_tasks)

if __name__ == "__main__":
    run_command(main, __doc__)
