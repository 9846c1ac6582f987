"""All checks, and the two files that tell of them: for programs and for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from mamba_narrative.errors import UserError
from mamba_narrative.io import write_json, write_text
from mamba_narrative.model.scan.dispatch import BACKENDS
from mamba_narrative.verification.check import Check
from mamba_narrative.verification.machine import (
    available_memory,
    check_gpus,
    check_memory,
    check_packages,
    check_python,
    installed_versions,
)
from mamba_narrative.verification.mamba_ssm import check_mamba_ssm
from mamba_narrative.verification.model import (
    check_parameter_count,
    check_scan,
    check_training_step,
    devices,
    one_thread,
)

_LOG = logging.getLogger(__name__)
_MARKS = {"pass": "pass", "fail": "**FAIL**", "skipped": "skipped"}


def run_checks() -> Iterator[Check]:
    """Every check, one after the other, each done when it is asked for."""
    yield check_python()
    yield check_packages(installed_versions())
    yield check_memory(available_memory())
    yield from check_gpus()
    for device in devices():
        for backend in BACKENDS:
            yield check_scan(backend, device)
    yield check_parameter_count()
    for device in devices():
        yield check_training_step(device)
    yield check_mamba_ssm()


def verify_environment(
    json: Annotated[Path, "report for programs"], markdown: Annotated[Path, "report for people"]
) -> None:
    """Run all checks and write both files. Raises UserError afterwards where a required check failed."""
    checks = []
    with one_thread():
        for check in run_checks():
            _LOG.info("%s: %s: %s%s", check.status, check.name, check.detail, check.remedy and f" -> {check.remedy}")
            checks.append(check)
    write_json(json, {"versions": installed_versions(), "checks": [asdict(check) for check in checks]})
    write_text(markdown, format_markdown(checks))
    if blocking := [check for check in checks if check.blocks]:
        lines = [f"{check.name}: {check.detail}. What to do: {check.remedy}" for check in blocking]
        raise UserError("this machine is not fit for the workflow:\n  " + "\n  ".join(lines))


def format_markdown(checks: list[Check]) -> str:
    """A page with a verdict in one sentence and a table of all checks."""
    blocking = [check.name for check in checks if check.blocks]
    minor = [check.name for check in checks if check.status == "fail" and not check.required]
    if blocking:
        verdict = f"**Not ready**: {', '.join(blocking)} failed, and the workflow needs it."
    elif minor:
        verdict = f"Ready. Not needed, but not in order: {', '.join(minor)}."
    else:
        verdict = "Ready: everything that the workflow needs works here."
    lines = ["# Environment", "", verdict, "", "| check | verdict | what was found | what to do |", "|---|---|---|---|"]
    for check in checks:
        cells = (check.name, _MARKS[check.status], check.detail, check.remedy)
        lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
