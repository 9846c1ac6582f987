"""Rows as comma-separated text, as all tables of the evaluation are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mamba_narrative.io import csv_cell


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Comma-separated text; None is an empty field. Book ids and metrics have neither commas nor quotes."""
    lines = [",".join(columns)]
    lines += [",".join(csv_cell(row[column]) for column in columns) for row in rows]
    return "\n".join(lines) + "\n"
