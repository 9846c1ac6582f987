"""What the selection decides about a book."""

from __future__ import annotations

from typing import Literal

Decision = Literal["keep", "partial", "drop"]
USED_DECISIONS: frozenset[str] = frozenset({"keep", "partial"})
"""Decisions of books that are used; everything after the selection asks this."""
