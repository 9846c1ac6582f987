"""Rows as comma-separated text, as all tables of the evaluation are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mamba_narrative.io import csv_field


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Comma-separated text; None is an empty field. Book ids and metrics have neither commas nor quotes."""
    lines = [",".join(columns)]
    lines += [",".join(_field(row[column]) for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _field(value: object) -> str:
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else csv_field(str(value))
