"""The use of context: main numbers, contexts and resets one row each. From `evaluation/<run>/context.json` and CSVs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mamba_narrative.reporting.sources import number
from mamba_narrative.reporting.tables.evaluation import COLUMNS, measured_table
from mamba_narrative.reporting.tables.table import Column, Schema, Table

CONTEXT = Schema("context", "Use of context in held-out books.", COLUMNS)
CONTEXTS = Schema(
    "contexts",
    "The same targets from ever more context, and from the whole book before them: loss, what the whole book gains "
    "(nats a token) and how much the prediction changes by it (effective remembrance). Intervals: 95 %, over books.",
    (
        Column("run", "Run"),
        Column("context_tokens", "Context (tokens)"),
        Column("targets", "Targets", "count"),
        Column("books", "Books", "count"),
        Column("loss_nats", "Loss", "number"),
        Column("gain_nats", "Gain", "number"),
        Column("gain_low", "low", "number"),
        Column("gain_high", "high", "number"),
        Column("remembrance", "Remembrance", "number"),
        Column("remembrance_low", "low", "number"),
        Column("remembrance_high", "high", "number"),
    ),
)
RESETS = Schema(
    "resets",
    "Whole books with the state thrown away every so many tokens, or never: loss, and what forgetting costs (nats a "
    "token). Intervals: 95 %, over books.",
    (
        Column("run", "Run"),
        Column("reset_tokens", "Reset every (tokens)"),
        Column("tokens", "Tokens", "count"),
        Column("books", "Books", "count"),
        Column("loss_nats", "Loss", "number"),
        Column("excess_nats", "Cost", "number"),
        Column("excess_low", "low", "number"),
        Column("excess_high", "high", "number"),
    ),
)


def context_table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """What context is worth, by run (and the untrained model), in the order given."""
    return measured_table(CONTEXT, reports)


def detail_table(schema: Schema, files: Mapping[str, Sequence[Mapping[str, str]]]) -> Table:
    """The rows of every run's CSV file, which has the columns of ``schema`` but ``run``, in the order given."""
    texts = {column.key for column in schema.columns if column.kind == "text"}
    return Table(
        schema,
        tuple(
            {"run": run, **{key: _field(row, key, texts) for key in keys_of(schema)}}
            for run, rows in files.items()
            for row in rows
        ),
    )


def keys_of(schema: Schema) -> list[str]:
    """Columns of a run's file that the table shows."""
    return [column.key for column in schema.columns if column.key != "run"]


def _field(row: Mapping[str, str], key: str, texts: set[str]) -> Any:
    return row[key] if key in texts else number(row[key])
