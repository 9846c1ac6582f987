"""Which books are English narrative prose."""

from __future__ import annotations

from pydantic import Field

from mamba_narrative.config.base import Section


class SelectionSettings(Section):
    """Thresholds of the selection; every drop has a reason code in `corpus/selection`."""

    languages: tuple[str, ...] = ("en",)
    """Languages kept, as ISO 639-1 codes."""
    min_words: int = Field(default=1_000, ge=0)
    """Shorter books are dropped."""
    min_narrative_share: float = Field(default=0.5, ge=0, le=1)
    """Least share of words in paragraphs of prose (not verse, list, table, play or index)."""
