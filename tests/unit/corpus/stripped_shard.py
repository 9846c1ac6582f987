"""The texts of a shard with the manifest of their hashes, as ``strip_books`` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mamba_narrative.corpus.formats.stripped_texts import describe, write_manifest
from mamba_narrative.io import write_text


def write_stripped(folder: Path, texts: Mapping[str, str]) -> Path:
    """Write ``<folder>/<book_id>.txt`` and ``<folder>.manifest.tsv``; returns the path of the latter."""
    for book_id, text in texts.items():
        write_text(folder / f"{book_id}.txt", text)
    manifest = folder.with_name(f"{folder.name}.manifest.tsv")
    write_manifest(manifest, [describe(book_id, text) for book_id, text in texts.items()])
    return manifest
