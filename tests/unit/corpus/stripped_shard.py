"""The texts of a shard with the manifest of their hashes, as ``strip_books`` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mamba_narrative.corpus.strip.stripping import MANIFEST_COLUMNS
from mamba_narrative.io import sha256_text, write_table, write_text


def write_stripped(folder: Path, texts: Mapping[str, str]) -> Path:
    """Write ``<folder>/<book_id>.txt`` and ``<folder>.manifest.tsv``; returns the path of the latter."""
    for book_id, text in texts.items():
        write_text(folder / f"{book_id}.txt", text)
    manifest = folder.with_name(f"{folder.name}.manifest.tsv")
    rows = [
        {
            "book_id": book_id,
            "sha256": sha256_text(text),
            "characters": len(text),
            "bytes": len(text.encode("utf-8")),
            "words": len(text.split()),
        }
        for book_id, text in texts.items()
    ]
    write_table(manifest, MANIFEST_COLUMNS, rows)
    return manifest
