"""Names of settings and recorded numbers that were replaced: nothing but a message and a converter knows them.

They stand in a table of their own, which is no code: one more of them reruns nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_TABLE = Path(__file__).with_suffix(".tsv")
RENAMED: dict[str, str] = dict(
    line.split("\t")
    for line in _TABLE.read_text(encoding="utf-8").splitlines()[1:]  # pyright: ignore
)
"""What replaced each name."""


def with_new_names(value: Any) -> Any:
    """A JSON value, in which every key of an object has its new name, and so has every text that is a name alone."""
    if isinstance(value, dict):
        return {RENAMED.get(key, key): with_new_names(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_new_names(item) for item in value]
    return RENAMED.get(value, value) if isinstance(value, str) else value
