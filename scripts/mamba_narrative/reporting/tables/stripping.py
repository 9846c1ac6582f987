"""What the text cleaning removed, and what it warned of. From `stripped/<shard>.audit.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mamba_narrative.reporting.formatting import shortened
from mamba_narrative.reporting.reasons import meaning_of
from mamba_narrative.reporting.tables.table import Column, Schema, Table

_KINDS = ("removed", "changed", "failed", "warning", "other file")
_EXAMPLE_CHARACTERS = 90
STRIPPING = Schema(
    "stripping",
    "What the cleaning of the raw files removed, changed, could not read, or warned of.",
    (
        Column("kind", "What"),
        Column("code", "Code"),
        Column("meaning", "In words"),
        Column("books", "Books", "count"),
        Column("times", "Times", "count"),
        Column("characters", "Characters", "count"),
        Column("example", "First example (book: text)"),
    ),
)


def stripping_table(audits: Iterable[Mapping[str, Any]]) -> Table:
    """One row a removal rule, change, failure, warning and unused file: books, times, characters, first example."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for audit in audits:
        counted: set[tuple[str, str]] = set()
        for event in _events(audit):
            key = (event.kind, event.code)
            row = rows.setdefault(key, _empty_row(event, audit))
            row["times"] += event.times
            if event.characters is not None:
                row["characters"] = (row["characters"] or 0) + event.characters
            row["books"] += key not in counted
            counted.add(key)
    ordered = sorted(rows.values(), key=lambda row: (_KINDS.index(row["kind"]), -row["books"], row["code"]))
    return Table(STRIPPING, tuple(ordered))


@dataclass(frozen=True)
class _Event:
    kind: str
    code: str
    example: str
    times: int = 1
    characters: int | None = None


def _empty_row(event: _Event, audit: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "code": event.code,
        "meaning": meaning_of(event.code),
        "books": 0,
        "times": 0,
        "characters": None,
        "example": f"{audit['book_id']}: {shortened(event.example, _EXAMPLE_CHARACTERS)}".rstrip(": "),
    }


def _events(audit: Mapping[str, Any]) -> Iterator[_Event]:
    """Everything worth counting in one book's audit."""
    for span in audit.get("removed") or ():
        yield _Event("removed", span["rule"], span.get("start") or "", characters=span["length"])
    for rule, times in (audit.get("changes") or {}).items():
        if times:
            yield _Event("changed", rule, "", times)
    if audit.get("status") == "failed":
        yield _Event("failed", str(audit.get("reason")), audit.get("detail") or audit.get("path") or "")
    for warning in audit.get("warnings") or ():
        code, detail = _code_and_detail(warning)
        yield _Event("warning", code, detail)
    for other in audit.get("other_files") or ():
        yield _Event("other file", other["reason"], other["path"])


def _code_and_detail(warning: str) -> tuple[str, str]:
    """The parts of ``code: detail``."""
    code, _, detail = warning.partition(":")
    return code, detail.strip()
