"""Check that this machine can run the workflow, and that its numbers can be trusted.

Versions, memory, GPU, every scan backend forward and backward against a float64 reference, the parameter count of
Mamba-130M, a step of training, the optional mamba-ssm. Exit code 0: all that the workflow needs works (optional parts
may have failed: see the report); 2: a required check failed, both files are written and the message says what to do.

example:
  python scripts/verify_environment.py --json report.json --markdown report.md
"""

from mamba_narrative.command import run_command
from mamba_narrative.io import recorded_outputs
from mamba_narrative.verification.report import verify_environment

main = recorded_outputs()(verify_environment)

if __name__ == "__main__":
    run_command(main, __doc__)
