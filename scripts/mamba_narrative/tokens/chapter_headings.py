"""Chapter headings of the books of a split, beside its tokens: written with them, read by the evaluation."""

from __future__ import annotations

from pathlib import Path

from mamba_narrative.corpus.formats.chapter_table import Heading, read_chapters, write_chapters
from mamba_narrative.corpus.formats.split_table import read_split


def collect_chapters(split: Path, stripped: Path, target: Path) -> None:
    """Copy the headings of the books of ``split`` together from ``<stripped>/<shard>.chapters.tsv``.

    The order of ``split`` is kept. Raises UserError where a file is missing.
    """
    shards: dict[str, dict[str, list[Heading]]] = {}
    chapters: list[tuple[str, int, str]] = []
    for row in read_split(split):
        book_id, shard = row["book_id"], row["shard"]
        if shard not in shards:
            shards[shard] = read_chapters(stripped / f"{shard}.chapters.tsv")
        chapters += [(book_id, heading.offset, heading.text) for heading in shards[shard].get(book_id, [])]
    write_chapters(target, chapters)
