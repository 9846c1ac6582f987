"""Bring the books that the settings ask for into a folder that the rest of the workflow reads as its own."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from mamba_narrative.acquisition.acceptance import LASTING, REFUSALS, NotAccepted, check_rights, excluded_by_catalogue
from mamba_narrative.acquisition.bulk import bring_members, is_address, local_copy
from mamba_narrative.acquisition.choice import choose_books
from mamba_narrative.acquisition.fetching import Fetcher
from mamba_narrative.acquisition.lock import LockedBook, read_lock
from mamba_narrative.acquisition.mirrors import bring_files
from mamba_narrative.acquisition.rdf import read_rdf_archive
from mamba_narrative.acquisition.state import request_key
from mamba_narrative.acquisition.store import BookStore, MissingBook, Wish, open_store
from mamba_narrative.config.corpus import ACQUIRED_SOURCES, CorpusSettings
from mamba_narrative.corpus.raw.catalogue import CatalogueEntry, read_catalogue
from mamba_narrative.errors import UserError
from mamba_narrative.progress import format_duration

_LOG = logging.getLogger(__name__)
_ARCHIVE_MAGICS = (b"PK\x03\x04", b"BZh", b"\x1f\x8b", b"\xfd7zXZ")


def acquire(settings: Annotated[CorpusSettings, "section `corpus`"]) -> None:
    """Bring all wanted books that are not there, verify those that are, and write lock, catalogue and summary.

    A run that finds everything in place asks no server for anything and touches no file. Raises UserError where books
    could not be had and ``allow_missing`` is false, where a server should be left alone, or where the disk is full;
    whatever was brought stays, and the next run goes on from there.
    """
    if settings.source not in ACQUIRED_SOURCES or settings.directory is None:
        raise UserError(f"corpus.source is {settings.source!r}: there is nothing to bring")
    request = request_key(settings)
    with open_store(Path(settings.directory)) as store:
        if store.is_finished(request):
            _LOG.info("all %s books are here and whole; nothing to fetch", f"{len(store.held):,}")
            return
        earlier = store.known_missing(request)
        store.begin()
        pinned = read_lock(Path(settings.lock)) if settings.lock else None
        try:
            if settings.source == "huggingface":
                wanted, absent = _from_dataset(store, settings, pinned, request)
            else:
                wanted, absent = asyncio.run(_from_gutenberg(store, settings, pinned, earlier))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            what = f"the disk is full ({error.strerror})" if full else f"cannot be used ({error})"
            raise UserError(
                f"{settings.directory}: {what}; the {len(store.held):,} books that are there are whole and stay; "
                f"{'free space and run again' if full else 'mend that and run again'}"
            ) from None
        refused = {book_id: book for book_id, book in absent.items() if book.reason in REFUSALS}
        not_had = {book_id: book for book_id, book in absent.items() if book.reason not in REFUSALS}
        store.finish(request, wanted, not_had, refused)
        _report(store, wanted, not_had, refused)
        if not_had and not settings.allow_missing:
            raise UserError(
                f"{len(not_had):,} of {len(wanted):,} books could not be had ({store.layout.missing} says why): run "
                "again to try again, or set corpus.allow_missing: true to go on with the others"
            )


async def _from_gutenberg(
    store: BookStore,
    settings: CorpusSettings,
    pinned: Mapping[str, LockedBook] | None,
    earlier: Mapping[str, MissingBook],
) -> tuple[dict[str, CatalogueEntry], dict[str, MissingBook]]:
    """The wanted books, and those of them that could not be had."""
    async with Fetcher(settings.transfer) as fetcher:
        if pinned is not None:
            wanted = {book_id: book.entry for book_id, book in pinned.items()}
        else:
            wanted = choose_books(await _catalogue(store, settings, fetcher), settings.choose)
        wishes, absent = _to_do(wanted, store, settings, pinned, earlier)
        if wishes:
            bring = bring_members if settings.gutenberg.method == "archive" else bring_files
            absent |= await bring(wishes, store, settings, fetcher)
        return wanted, absent


def _to_do(
    wanted: Mapping[str, CatalogueEntry],
    store: BookStore,
    settings: CorpusSettings,
    pinned: Mapping[str, LockedBook] | None,
    earlier: Mapping[str, MissingBook],
) -> tuple[dict[str, Wish], dict[str, MissingBook]]:
    """The books to be brought, and those of which it is known that they cannot be had or not be used."""
    if not wanted:
        raise UserError("no book of the catalogue meets corpus.choose")
    pins = store.damaged if pinned is None else pinned
    absent = {book_id: book for book_id, book in earlier.items() if book.reason in LASTING}
    absent |= {
        book_id: MissingBook(book_id, "copyrighted", "by the catalogue")
        for book_id, entry in wanted.items()
        if excluded_by_catalogue(entry, settings.rights)
    }
    wishes: dict[str, Wish] = {}
    for book_id, entry in wanted.items():
        if book_id in absent:
            continue
        if not _is_held(store, book_id, pins):
            wishes[book_id] = Wish(book_id, entry, pins.get(book_id))
            continue
        try:  # It may have come when the settings allowed more.
            check_rights(store.path_of(book_id), entry, settings.rights)
        except NotAccepted as error:
            absent[book_id] = MissingBook(book_id, error.reason, error.detail, store.held[book_id].url)
    _LOG.info("%s books are wanted, %s of them to be brought", f"{len(wanted):,}", f"{len(wishes):,}")
    if settings.gutenberg.method == "files":
        seconds = len(wishes) / settings.transfer.requests_per_second
        _LOG.info("at the pace of corpus.transfer this takes at least %s", format_duration(seconds))
    return wishes, absent


def _from_dataset(
    store: BookStore, settings: CorpusSettings, pinned: Mapping[str, LockedBook] | None, request: str
) -> tuple[dict[str, CatalogueEntry], dict[str, MissingBook]]:
    from mamba_narrative.acquisition.hugging_face import bring_rows  # The library takes seconds to load.

    catalogue = _read_any_catalogue(Path(settings.catalogue)) if settings.catalogue else {}
    return bring_rows(store, settings, catalogue, pinned, request)


def _is_held(store: BookStore, book_id: str, pins: Mapping[str, LockedBook]) -> bool:
    held, pin = store.held.get(book_id), pins.get(book_id)
    return held is not None and (pin is None or held.sha256 == pin.sha256)


async def _catalogue(store: BookStore, settings: CorpusSettings, fetcher: Fetcher) -> dict[str, CatalogueEntry]:
    source = settings.catalogue or settings.gutenberg.catalogue_url
    path = await local_copy(source, store.layout.work, fetcher)
    if settings.catalogue is None:
        _LOG.info("catalogue: %s (delete it to take a newer one)", path)
    try:
        return _read_any_catalogue(path)
    except UserError as error:
        if is_address(source):  # Else every later run would meet the same file again.
            path.unlink()
            raise UserError(f"{source}: {error}; the download is deleted, run again to fetch it anew") from None
        raise


def _read_any_catalogue(path: Path) -> dict[str, CatalogueEntry]:
    """A catalogue in Project Gutenberg's CSV, or packed RDF; what the file is decides, not its name."""
    try:
        with open(path, "rb") as stream:
            beginning = stream.read(6)
    except OSError as error:
        raise UserError(f"corpus.catalogue: {path} cannot be read ({error.strerror})") from None
    return read_rdf_archive(path) if beginning.startswith(_ARCHIVE_MAGICS) else read_catalogue(path)


def _report(
    store: BookStore,
    wanted: Mapping[str, CatalogueEntry],
    not_had: Mapping[str, MissingBook],
    refused: Mapping[str, MissingBook],
) -> None:
    here = [store.held[book_id] for book_id in wanted.keys() - not_had.keys() - refused.keys()]
    _LOG.info(
        "%s of %s books are here, %.1f MB: %s",
        f"{len(here):,}",
        f"{len(wanted):,}",
        sum(book.bytes for book in here) / 1e6,
        store.layout.lock,
    )
    for what, books in (("could not be had", not_had), ("not to be used", refused)):
        reasons = Counter(book.reason for book in books.values())
        if reasons:
            counts = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
            _LOG.warning("%s books %s (%s): %s", f"{len(books):,}", what, counts, store.layout.missing)
