"""``stripped/<shard>.audit.jsonl``: a record of every raw book, with all that stripping removed and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import read_json_lines, write_json_lines

_ENDING = ".audit.jsonl"


def write_audit(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write the records of a shard."""
    write_json_lines(path, records)


def read_audit(path: Path) -> list[dict[str, Any]]:
    """The records of a shard. Raises FileFormatError where one has no ``book_id``."""
    records = read_json_lines(path)
    if any("book_id" not in record for record in records):
        raise FileFormatError(f"{path}: a record without book_id; expected the audit that strip_books writes")
    return records


def read_audits(stripped: Path, shards: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The records of ``shards`` below the folder ``stripped``; None: of all that are there."""
    paths = sorted(stripped.glob(f"*{_ENDING}")) if shards is None else [stripped / f"{s}{_ENDING}" for s in shards]
    for path in paths:
        yield from read_audit(path)
