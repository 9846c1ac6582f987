"""Which books share text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mamba_narrative.config.base import Section


class DuplicatesSettings(Section):
    """Duplicate detection by shared word shingles; candidates from sketches are confirmed on the texts."""

    shingle_words: int = Field(default=8, ge=2, le=32)
    """Length of a shingle in words."""
    sketch_fraction: float = Field(default=1 / 32, ge=0.001, le=1)
    """Share of all shingle hashes kept in a book's sketch (FracMinHash)."""
    max_books_per_shingle: int = Field(default=50, ge=2, le=10_000)
    """A shingle of more books than this (boilerplate, a proverb) does not make all of them candidates."""
    cluster_containment: float = Field(default=0.01, ge=0.0001, le=1)
    """Books that share at least this part of the smaller one's shingles form one cluster and one split. A story in two
    anthologies is a few per cent of each; quotations and proverbs stay far below one per cent."""
    representative: Literal["longest", "earliest", "latest"] = "longest"
    """Which edition stands for its duplicates: the longest complete one, or the one that Project Gutenberg published
    first or last (by book number). One used whole goes before one used in part."""
    duplicate_containment: float = Field(default=0.8, ge=0.0001, le=1)
    """A book contained to at least this part in another book of its cluster is a duplicate and is left out."""

    @model_validator(mode="after")
    def _duplicates_are_clusters(self) -> DuplicatesSettings:
        if self.duplicate_containment < self.cluster_containment:
            raise ValueError("duplicates.duplicate_containment must not be below duplicates.cluster_containment")
        return self
