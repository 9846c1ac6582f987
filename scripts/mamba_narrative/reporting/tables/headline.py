"""The main table: at most eight metrics of all runs and baselines. From the tables of measured values."""

from __future__ import annotations

from collections.abc import Iterable

from mamba_narrative.evaluation.definitions import HEADLINE
from mamba_narrative.reporting.tables.evaluation import COLUMNS
from mamba_narrative.reporting.tables.table import Schema, Table

HEADLINE_TABLE = Schema("headline", "The main measures of the runs, on held-out books.", COLUMNS)


def headline_table(measured: Iterable[Table]) -> Table:
    """The rows of ``measured`` with a headline metric, in the order of the headline."""
    rows = [row for table in measured for row in table.rows if row["metric"] in HEADLINE]
    return Table(HEADLINE_TABLE, tuple(sorted(rows, key=lambda row: list(HEADLINE).index(row["metric"]))))
