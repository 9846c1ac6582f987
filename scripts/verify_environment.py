"""Check that this machine can run the workflow, and that its numbers can be trusted.

Versions, memory, GPU, every scan backend forward and backward against a float64 reference, the parameter count of
Mamba-130M, a step of training, the optional mamba-ssm. Exit code 0: all that the workflow needs works (optional parts
may have failed: see the report); 2: a required check failed, both files are written and the message says what to do.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.io import recorded_outputs
from mamba_narrative.verification.report import verify_environment


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    verify_environment(arguments.json, arguments.markdown)


def parser() -> argparse.ArgumentParser:
    result = command_parser(
        __doc__ or "", "python scripts/verify_environment.py --json report.json --markdown report.md"
    )
    result.add_argument("--json", type=Path, required=True, help="report for programs")
    result.add_argument("--markdown", type=Path, required=True, help="report for people")
    return result


if __name__ == "__main__":
    run_command(main, parser())
