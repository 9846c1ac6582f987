"""The verification of the machine (`environment/report.json`), arranged for the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mamba_narrative.reporting.formatting import flattened, listing, plural

_STATUSES = {"fail": "failed", "pass": "passed", "skipped": "skipped"}


@dataclass(frozen=True)
class CheckRow:
    """One check: ``status`` is pass, fail or skipped; ``detail`` says what was found, ``remedy`` what to do."""

    name: str
    status: str
    detail: str
    remedy: str
    required: bool

    @property
    def found(self) -> str:
        """What was found and, where something is to do, what."""
        return f"{self.detail} What to do: {self.remedy}" if self.remedy else self.detail


@dataclass(frozen=True)
class Environment:
    """All checks, failures first; a sentence that sums them up; versions as pairs of name and text."""

    checks: tuple[CheckRow, ...]
    sentence: str
    versions: tuple[tuple[str, str], ...]


def read_environment(report: Mapping[str, Any]) -> Environment:
    """Arrange the report that `verify_environment` wrote."""
    checks = [
        CheckRow(
            entry["name"],
            entry["status"],
            entry.get("detail") or "",
            entry.get("remedy") or "",
            bool(entry.get("required")),
        )
        for entry in report.get("checks") or ()
    ]
    order = list(_STATUSES)
    ordered = sorted(checks, key=lambda check: order.index(check.status) if check.status in order else -1)
    return Environment(tuple(ordered), _sentence(checks), tuple(flattened(report.get("versions") or {})))


def _sentence(checks: Sequence[CheckRow]) -> str:
    if not checks:
        return "The verification lists no checks."
    counts = Counter(check.status for check in checks)
    parts = [f"{number} {_STATUSES.get(status, status)}" for status, number in counts.most_common()]
    sentence = f"Of {plural(len(checks), 'check')}, {listing(parts)}."
    blocking = [check.name for check in checks if check.status == "fail" and check.required]
    return sentence + (f" The workflow needs what failed: {listing(blocking)}." if blocking else "")
