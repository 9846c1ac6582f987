"""From the bytes of a raw book to its narrative text, with an account of everything that was removed."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.formats.audit import write_audit
from mamba_narrative.corpus.formats.chapter_table import write_chapters
from mamba_narrative.corpus.formats.stripped_texts import describe, write_manifest
from mamba_narrative.corpus.raw.encoding import decode
from mamba_narrative.corpus.raw.header import Header, parse_header
from mamba_narrative.corpus.raw.inventory import RawBook, books_by_shard
from mamba_narrative.corpus.raw.raw_bytes import UnreadableBook, read_raw
from mamba_narrative.corpus.strip.boilerplate import find_boundaries
from mamba_narrative.corpus.strip.chapters import Chapter, find_chapters
from mamba_narrative.corpus.strip.cleaning import find_apparatus
from mamba_narrative.corpus.strip.paragraphs import Block, split_blocks
from mamba_narrative.corpus.strip.rendering import render
from mamba_narrative.corpus.strip.spans import Span, mask, without_overlaps
from mamba_narrative.corpus.time_limit import seconds_allowed, time_limit
from mamba_narrative.io import atomic_directory, sha256_bytes
from mamba_narrative.progress import track

_LOG = logging.getLogger(__name__)
MAX_LINES = 1_000_000
"""Each takes some hundred bytes of memory beside its characters. The King James Bible has 100,000."""
_SHOWN_CHARACTERS = 80
"""Of each removal in the audit: a line."""


@dataclass(frozen=True)
class StrippedBook:
    """The narrative text of a book and how it was made; offsets of ``removed`` are those of the decoded text."""

    text: str
    chapters: tuple[Chapter, ...] = ()
    encoding: str = ""
    encoding_evidence: str = ""
    start_marker: str | None = None
    end_marker: str | None = None
    header: Header = field(default_factory=Header)
    removed: tuple[tuple[Span, str], ...] = ()
    """Each with the first characters of what was removed."""
    changes: dict[str, int] = field(default_factory=dict)
    """How often each rule changed something inside a paragraph."""
    warnings: tuple[str, ...] = ()


def strip_book(raw: bytes, settings: StrippingSettings) -> StrippedBook:
    """Decode a raw book, remove boilerplate and apparatus, and unwrap its paragraphs.

    Raises UnreadableBook with reason ``too_many_lines``, and nothing else on any bytes.
    """
    decoded = decode(raw)
    text = decoded.text
    if (lines := text.count("\n")) > MAX_LINES:
        raise UnreadableBook("too_many_lines", f"{lines} lines; expected at most {MAX_LINES}")
    boundaries = find_boundaries(text, settings.max_cut_fraction)
    header = parse_header(text[: boundaries.start] if boundaries.start else text[:5_000])
    framed = mask(text, boundaries.removed)
    apparatus = find_apparatus(framed, boundaries.start, boundaries.end, header, settings)
    masked = mask(framed, apparatus.spans)
    removed = without_overlaps([*boundaries.removed, *apparatus.spans])
    blocks = list(split_blocks(masked, boundaries.start, boundaries.end))
    rendered = render(blocks, settings, apparatus.footnote_marks, _after_removal(blocks, removed))
    return StrippedBook(
        text=rendered.text,
        chapters=tuple(find_chapters(rendered.text, apparatus.titles)),
        encoding=decoded.name,
        encoding_evidence=decoded.evidence,
        start_marker=boundaries.start_marker,
        end_marker=boundaries.end_marker,
        header=header,
        removed=tuple((span, _beginning(text[span.start : span.end])) for span in removed),
        changes=rendered.changes,
        warnings=(*decoded.warnings, *boundaries.warnings, *apparatus.warnings),
    )


def _after_removal(blocks: Sequence[Block], removed: Sequence[Span]) -> frozenset[int]:
    """Offsets of the blocks between which and the one before something was removed."""
    starts = [span.start for span in removed]
    return frozenset(
        block.start
        for before, block in pairwise(blocks)
        if bisect_left(starts, before.end) < bisect_left(starts, block.start)
    )


def _beginning(removed: str) -> str:
    return " ".join(removed[: 3 * _SHOWN_CHARACTERS].split())[:_SHOWN_CHARACTERS]


def strip_shard(
    source_directory: Path,
    shard: str,
    shards: int,
    settings: StrippingSettings,
    max_bytes: int,
    *,
    stripped: Path,
    audit: Path,
    chapters: Path,
    manifest: Path,
) -> None:
    """Strip every raw book of one shard and write the folder of texts and the three tables.

    A book from which no text can be taken gets an audit record with the reason; it never stops the others.
    """
    books = books_by_shard(source_directory, shards).get(shard, [])
    records: list[dict[str, Any]] = []
    headings: list[tuple[str, int, str]] = []
    texts: list[dict[str, Any]] = []
    with atomic_directory(stripped) as folder:
        for book in track(books, f"shard {shard}", len(books), "books"):
            record, result = _strip_one(source_directory, book, settings, max_bytes)
            records.append(record)
            if result is not None:
                (folder / f"{book.book_id}.txt").write_bytes(result.text.encode("utf-8"))
                headings += [(book.book_id, chapter.offset, chapter.heading) for chapter in result.chapters]
                texts.append(describe(book.book_id, result.text))
    write_audit(audit, records)
    write_chapters(chapters, headings)
    write_manifest(manifest, texts)
    _report(shard, records)


def _strip_one(
    directory: Path, book: RawBook, settings: StrippingSettings, max_bytes: int
) -> tuple[dict[str, Any], StrippedBook | None]:
    """The audit record of one book, and its text where there is one."""
    record = _empty_record(book)
    try:
        if book.problem is not None:
            raise UnreadableBook(book.problem, "known from the folder")
        raw = read_raw(directory / book.path, max_bytes)
        record |= {"bytes": len(raw), "sha256": sha256_bytes(raw)}
        with time_limit(seconds_allowed(len(raw))):
            result = strip_book(raw, settings)
        record |= _account(result)
        if not result.text:
            raise UnreadableBook("no_text_left", "everything was boilerplate or apparatus")
    except UnreadableBook as error:
        _LOG.warning("%s: %s (%s)", book.shown_path, error.reason, error.detail)
        return record | {"status": "failed", "reason": error.reason, "detail": error.detail}, None
    except Exception as error:
        _LOG.exception("%s: internal error; the book is left out", book.shown_path)
        detail = f"{type(error).__name__}: {error}"
        return record | {"status": "failed", "reason": "internal_error", "detail": detail}, None
    return record, result


def _empty_record(book: RawBook) -> dict[str, Any]:
    return {
        "book_id": book.book_id,
        "path": book.shown_path,
        "bytes": None,
        "sha256": None,
        "status": "stripped",
        "reason": None,
        "detail": None,
        "encoding": None,
        "markers": {"start": None, "end": None},
        "header": asdict(Header()),
        "removed": [],
        "changes": {},
        "warnings": [],
        "other_files": [{"path": _shown(path), "reason": reason} for path, reason in book.others],
        "characters": 0,
        "words": 0,
        "chapters": 0,
    }


def _account(result: StrippedBook) -> dict[str, Any]:
    return {
        "encoding": {"name": result.encoding, "evidence": result.encoding_evidence},
        "markers": {"start": result.start_marker, "end": result.end_marker},
        "header": asdict(result.header),
        "removed": [
            {"rule": span.rule, "offset": span.start, "length": span.end - span.start, "start": beginning}
            for span, beginning in result.removed
        ],
        "changes": result.changes,
        "warnings": list(result.warnings),
        "characters": len(result.text),
        "words": len(result.text.split()),
        "chapters": len(result.chapters),
    }


def _shown(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _report(shard: str, records: Iterable[dict[str, Any]]) -> None:
    listed = list(records)
    failed = sum(record["status"] == "failed" for record in listed)
    warned = sum(bool(record["warnings"]) for record in listed)
    _LOG.info("shard %s: %d books stripped, %d failed, %d with warnings", shard, len(listed) - failed, failed, warned)
