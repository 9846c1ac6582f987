"""Where the raw books come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mamba_narrative.config.acquisition import (
    ChoiceSettings,
    GutenbergSettings,
    HuggingFaceSettings,
    Rights,
    TransferSettings,
)
from mamba_narrative.config.base import Section
from mamba_narrative.config.paths import ConfiguredPath

ACQUIRED_SOURCES = ("gutenberg", "huggingface")
"""Sources that `snakemake acquire_books` brings into a folder before anything else can be planned."""


class CorpusSettings(Section):
    """The raw books and how they are divided into shards."""

    source: Literal["sample", "directory", "gutenberg", "huggingface"] = "sample"
    """`sample`: the stories that come with the project; `directory`: a folder of raw Gutenberg files; `gutenberg`,
    `huggingface`: brought from there into a folder by `snakemake acquire_books`."""
    directory: ConfiguredPath | None = None
    """Folder of raw books (searched recursively), or the folder to which they are brought; relative to where snakemake
    is started."""
    catalogue: ConfiguredPath | None = None
    """CSV file with Project Gutenberg's own columns (`Text#`, `Title`, `Language`, ...); null: headers only, and for
    `source: gutenberg` the catalogue that Project Gutenberg publishes."""
    lock: ConfiguredPath | None = None
    """Lock file of another acquisition: exactly its books, with the same bytes, instead of a choice."""
    choose: ChoiceSettings = ChoiceSettings()
    """Which books to bring."""
    rights: Rights = "public_domain"
    """Bring only books that header or catalogue mark as public domain in the USA (`public_domain`), or all that neither
    marks as under copyright (`not_copyrighted`: for datasets without headers), or `any`."""
    allow_missing: bool = False
    """Go on with the books that are there although some could not be had."""
    gutenberg: GutenbergSettings = GutenbergSettings()
    """For `source: gutenberg`."""
    huggingface: HuggingFaceSettings = HuggingFaceSettings()
    """For `source: huggingface`."""
    transfer: TransferSettings = TransferSettings()
    """How politely files are fetched."""
    shards: int = Field(default=8, ge=1, le=4096)
    """Number of groups into which books are hashed; one job a group. About 1 per 300 books suits big corpora."""
    max_book_bytes: int = Field(default=40_000_000, ge=1_000, le=2_000_000_000)
    """Larger files, packed or unpacked, are refused with a reason instead of filling the memory: the stages that read
    one book need up to 45 times its size, and their jobs ask for 2 GB."""

    @model_validator(mode="after")
    def _directory_is_given(self) -> CorpusSettings:
        if self.source == "directory" and not self.directory:
            raise ValueError("corpus.source is 'directory', so corpus.directory must name the folder of raw books")
        if self.source in ACQUIRED_SOURCES and not self.directory:
            raise ValueError(
                f"corpus.source is {self.source!r}, so corpus.directory must name the folder to which books are brought"
            )
        if self.source == "sample" and (self.directory or self.catalogue):
            raise ValueError("corpus.directory and corpus.catalogue need corpus.source: directory")
        if self.lock and self.source not in ACQUIRED_SOURCES:
            raise ValueError("corpus.lock needs corpus.source: gutenberg or huggingface")
        return self
