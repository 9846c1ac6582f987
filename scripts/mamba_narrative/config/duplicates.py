"""Which books share text."""

from __future__ import annotations

from pydantic import Field

from mamba_narrative.config.base import Section


class DuplicatesSettings(Section):
    """Duplicate detection by shared word shingles; candidates from sketches are confirmed on the texts."""

    shingle_words: int = Field(default=8, ge=2, le=32)
    """Length of a shingle in words."""
    sketch_fraction: float = Field(default=1 / 32, gt=0, le=1)
    """Share of all shingle hashes kept in a book's sketch (FracMinHash)."""
    cluster_containment: float = Field(default=0.1, gt=0, le=1)
    """Books that share at least this part of the smaller one's shingles form one cluster and one split."""
    duplicate_containment: float = Field(default=0.8, gt=0, le=1)
    """A book contained to at least this part in another book of its cluster is a duplicate and is left out."""
