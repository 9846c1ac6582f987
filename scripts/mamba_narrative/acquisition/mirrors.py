"""Books one by one from mirrors of Project Gutenberg."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from mamba_narrative.acquisition.acceptance import REFUSALS, NotAccepted, check_book
from mamba_narrative.acquisition.fetching import Fetcher, SourceDown
from mamba_narrative.acquisition.store import BookStore, MissingBook, Wish
from mamba_narrative.acquisition.transfer import FetchFailed
from mamba_narrative.config.acquisition import GutenbergSettings, Variant, address_fault
from mamba_narrative.config.corpus import CorpusSettings
from mamba_narrative.progress import Progress

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_FILES: dict[Variant, str] = {"utf8": "{0}-0.txt", "8bit": "{0}-8.txt", "ascii": "{0}.txt"}


def addresses(wish: Wish, settings: GutenbergSettings) -> Iterator[str]:
    """Where a book may be, the best variant first."""
    if wish.pinned is not None and not address_fault(wish.pinned.url) and "#" not in wish.pinned.url:
        yield wish.pinned.url
    for mirror in settings.mirrors:
        for variant in settings.variants:
            yield f"{mirror.rstrip('/')}/{mirror_path(wish.book_id, variant)}"


def mirror_path(book_id: str, variant: Variant) -> str:
    """Path of a book's file below a mirror: ``cache/epub/1342/pg1342.txt``, ``1/3/4/1342/1342-0.txt``."""
    if variant == "generated":
        return f"cache/epub/{book_id}/pg{book_id}.txt"
    folders = "/".join(book_id[:-1]) if len(book_id) > 1 else "0"
    return f"{folders}/{book_id}/{_FILES[variant].format(book_id)}"


async def bring_files(
    wishes: Mapping[str, Wish], store: BookStore, settings: CorpusSettings, fetcher: Fetcher
) -> dict[str, MissingBook]:
    """Fetch the books into the store; returns those that could not be had, by id.

    Raises SourceDown where all mirrors should be left alone, OSError where the disk is full; what is there stays.
    """
    missing: dict[str, MissingBook] = {}
    waiting = iter(wishes.values())
    down: dict[str, SourceDown] = {}
    with Progress("fetching", len(wishes), "books") as progress:

        async def work() -> None:
            for wish in waiting:
                if (absent := await _bring(wish, store, settings, fetcher, down)) is not None:
                    missing[wish.book_id] = absent
                progress.advance(note=f"{len(missing):,} could not be had" if missing else "")

        workers = [asyncio.create_task(work()) for _ in range(settings.transfer.connections)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    return missing


async def _bring(
    wish: Wish, store: BookStore, settings: CorpusSettings, fetcher: Fetcher, down: dict[str, SourceDown]
) -> MissingBook | None:
    """Put one book into the store, or say why not. ``down`` collects hosts that should be left alone."""
    if not _NUMBER.fullmatch(wish.book_id):
        return MissingBook(wish.book_id, "no_number", "mirrors know books by numbers of at most 9 digits alone")
    target = store.partial / f"{wish.book_id}.txt"
    absent = MissingBook(wish.book_id, "not_found", "no mirror has any of its variants")
    failing: set[str] = set()
    try:
        for url in dict.fromkeys(addresses(wish, settings.gutenberg)):
            host = urlsplit(url).netloc
            if host in down or host in failing:
                continue
            try:
                final = await fetcher.fetch(url, target, settings.max_book_bytes)
                sha256 = check_book(target, wish.entry, settings.rights, settings.max_book_bytes, wish.pinned)
            except SourceDown as error:
                down[host] = error
                if all(urlsplit(mirror).netloc in down for mirror in settings.gutenberg.mirrors):
                    raise
                absent = MissingBook(wish.book_id, "source_down", str(error), url)
            except FetchFailed as error:
                if error.reason != "not_found":
                    absent = MissingBook(wish.book_id, error.reason, error.detail, url)
                if error.passes:
                    failing.add(host)  # Its other variants would fail as often.
            except NotAccepted as error:
                absent = MissingBook(wish.book_id, error.reason, error.detail, url)
                if error.reason in REFUSALS:
                    break
            else:
                file = wish.pinned.file if wish.pinned else PurePosixPath(urlsplit(url).path).name
                store.put(wish.book_id, final, sha256, file, target)
                return None
        return absent
    finally:
        target.unlink(missing_ok=True)
