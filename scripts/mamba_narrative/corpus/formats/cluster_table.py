"""``corpus/clusters.tsv``: the cluster of every used book and its role in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mamba_narrative.io import read_table, write_table

CLUSTER_COLUMNS = ("book_id", "cluster", "role", "duplicate_of")


def write_clusters(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a row a used book."""
    write_table(path, CLUSTER_COLUMNS, rows)


def read_clusters(path: Path) -> dict[str, dict[str, str]]:
    """The rows by book id."""
    return {row["book_id"]: row for row in read_table(path, CLUSTER_COLUMNS)}
