"""A table as rows with typed columns, and its two forms: CSV for programs (and the page), Markdown for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import csv_cell
from mamba_narrative.reporting.formatting import count, percent, significant, visible
from mamba_narrative.reporting.sources import read_csv


@dataclass(frozen=True)
class Column:
    """One column: its name in the CSV file, its heading for people, and what it holds."""

    key: str
    heading: str
    kind: Literal["text", "count", "number", "share"] = "text"


@dataclass(frozen=True)
class Schema:
    """Name (of its files), caption and columns of a table."""

    name: str
    caption: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Table:
    """A table; ``rows`` map column keys to str, int, float or None (unknown or not applicable)."""

    schema: Schema
    rows: tuple[Mapping[str, Any], ...]


def to_csv(table: Table) -> str:
    """Comma-separated text with a header line, full precision, empty fields for None."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.key for column in table.schema.columns])
    for row in table.rows:
        writer.writerow([csv_cell(row.get(column.key)) for column in table.schema.columns])
    return stream.getvalue()


def read_csv_table(schema: Schema, directory: Path) -> Table | None:
    """The table that ``to_csv`` wrote to ``<directory>/<name>.csv``; None where there is no such file.

    Raises FileFormatError where the file has other columns or a number is none.
    """
    path = directory / f"{schema.name}.csv"
    if not path.is_file():
        return None
    kinds = {column.key: column.kind for column in schema.columns}
    rows = []
    for line, row in enumerate(read_csv(path, list(kinds)), start=2):
        try:
            rows.append({key: _parsed(row[key], kind) for key, kind in kinds.items()})
        except ValueError as error:
            raise FileFormatError(f"{path}:{line}: {error}") from None
    return Table(schema, tuple(rows))


def to_markdown(table: Table) -> str:
    """A Markdown (GitHub) table under its caption, numbers rounded for reading."""
    columns = table.schema.columns
    rows = [[as_kind(row.get(column.key), column.kind) for column in columns] for row in table.rows]
    grid = markdown_grid([column.heading for column in columns], [column.kind == "text" for column in columns], rows)
    return f"{table.schema.caption}\n\n{grid}"


def markdown_grid(headings: Sequence[str], texts: Sequence[bool], rows: Iterable[Sequence[str]]) -> str:
    """Fields as a Markdown table; ``texts``: which columns stand to the left."""
    lines = [_line(headings), _line([":--" if text else "--:" for text in texts])]
    lines += [_line([_safe(field) for field in row]) for row in rows]
    return "\n".join(lines) + "\n"


def as_kind(value: Any, kind: str) -> str:
    """One field as people read it, not escaped; empty for None."""
    if value is None or value == "":
        return ""
    if kind == "text":
        return visible(value)
    return {"count": count, "number": significant, "share": percent}[kind](float(value))


def _parsed(field: str, kind: str) -> str | float | None:
    if kind == "text":
        return field
    return float(field) if field else None


def _line(fields: Sequence[str]) -> str:
    return "| " + " | ".join(fields) + " |"


def _safe(text: str) -> str:
    """One line of text without meaning for Markdown tables or for HTML inside Markdown."""
    line = " ".join(text.split())
    for character, escaped in (("\\", "\\\\"), ("|", "\\|"), ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        line = line.replace(character, escaped)
    return line
