"""Real books for tests and benchmarks: ``../shared/gutenberg`` beside the repository, or none."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mamba_narrative.io import read_table

REPOSITORY = Path(__file__).resolve().parents[1]
GUTENBERG = REPOSITORY.parent / "shared" / "gutenberg"
CATALOGUES = {"raw": GUTENBERG / "catalog.csv", "packed": GUTENBERG / "catalog_more.csv"}
needs_real_books = pytest.mark.skipif(not GUTENBERG.is_dir(), reason=f"no real books in {GUTENBERG}")


def read_books(source: str) -> Iterator[tuple[str, bytes]]:
    """Book id and bytes of every real book: ``raw`` lie as files, ``packed`` in an archive."""
    if source == "raw":
        for path in sorted((GUTENBERG / "raw").glob("*.txt")):
            yield path.stem, path.read_bytes()
        return
    with tarfile.open(GUTENBERG / "more_books.tar.xz", "r|xz") as archive:
        for member in archive:
            if member.isfile() and (stream := archive.extractfile(member)) is not None:
                yield Path(member.name).stem, stream.read()


def unpack_books(source: str, directory: Path) -> None:
    """Write the real books of ``source`` into ``directory`` (links where they lie as files)."""
    directory.mkdir(parents=True, exist_ok=True)
    if source == "raw":
        for path in (GUTENBERG / "raw").glob("*.txt"):
            (directory / path.name).symlink_to(path)
    else:
        for book_id, content in read_books(source):
            (directory / f"{book_id}.txt").write_bytes(content)


def narrative_labels() -> dict[str, dict[str, str]]:
    """Rows of the table of books judged by reading, by book id: English narrative prose, yes, no or mixed."""
    columns = ("book_id", "source", "sha256", "label", "form")
    return {row["book_id"]: row for row in read_table(REPOSITORY / "tests" / "data" / "narrative_labels.tsv", columns)}
