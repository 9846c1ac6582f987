"""Where the raw books come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mamba_narrative.config.base import Section


class CorpusSettings(Section):
    """The raw books and how they are divided into shards."""

    source: Literal["sample", "directory"] = "sample"
    """`sample`: the stories that come with the project; `directory`: a folder of raw Gutenberg files."""
    directory: str | None = None
    """Folder of raw books (searched recursively); relative to where snakemake is started. For `source: directory`."""
    catalogue: str | None = None
    """CSV file with Project Gutenberg's own columns (`Text#`, `Title`, `Language`, ...); null: headers only."""
    shards: int = Field(default=8, ge=1, le=4096)
    """Number of groups into which books are hashed; one job a group. About 1 per 300 books suits big corpora."""
    max_book_bytes: int = Field(default=64_000_000, ge=1_000)
    """Larger files, packed or unpacked, are refused with a reason instead of filling the memory."""

    @model_validator(mode="after")
    def _directory_is_given(self) -> CorpusSettings:
        if self.source == "directory" and not self.directory:
            raise ValueError("corpus.source is 'directory', so corpus.directory must name the folder of raw books")
        if self.source == "sample" and (self.directory or self.catalogue):
            raise ValueError("corpus.directory and corpus.catalogue need corpus.source: directory")
        return self
