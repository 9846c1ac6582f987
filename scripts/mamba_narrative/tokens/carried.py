"""Token files that were carried to a machine without books, and prove themselves by their manifests."""

from __future__ import annotations

from pathlib import Path

from mamba_narrative.errors import FileFormatError
from mamba_narrative.file_digests import FileDigests
from mamba_narrative.io import read_json, verify


def carried_token_files(results: Path, digests: FileDigests) -> set[str]:
    """Relative paths of the files in ``results/tokens`` that have the hashes of their manifests or records.

    Raises FileFormatError where a file has another hash.
    """
    proven: set[str] = set()
    for manifest_path in sorted((results / "tokens").glob("*.json")):
        manifest = read_json(manifest_path)
        proven.add(f"tokens/{manifest_path.name}")
        for ending, key in ((".bin", "sha256"), (".books.tsv", "books_sha256")):
            path = manifest_path.with_suffix(ending)
            if path.is_file():
                if digests.of(path) != manifest[key]:
                    raise FileFormatError(
                        f"{path}: its sha256 is not the one in {manifest_path.name}; copy the folder tokens again"
                    )
                proven.add(f"tokens/{path.name}")
        chapters = manifest_path.with_suffix(".chapters.tsv")
        if chapters.is_file() and verify(chapters):
            proven.add(f"tokens/{chapters.name}")
    return proven
