"""Books out of Project Gutenberg's archive of all texts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from mamba_narrative.acquisition.acceptance import NotAccepted, check_book
from mamba_narrative.acquisition.archives import DamagedMember, Member, read_members
from mamba_narrative.acquisition.fetching import Fetcher
from mamba_narrative.acquisition.store import BookStore, MissingBook, Wish
from mamba_narrative.acquisition.transfer import FetchFailed
from mamba_narrative.config.acquisition import address_fault
from mamba_narrative.config.corpus import CorpusSettings
from mamba_narrative.errors import UserError
from mamba_narrative.progress import Progress

_MAX_CATALOGUE_BYTES = 500_000_000
_MAX_ARCHIVE_BYTES = 50_000_000_000
"""Project Gutenberg's own have at most 0.2 GB and about 11 GB."""
_MAX_NAME_CHARACTERS = 500
_BOOK_NAME = re.compile(r"(?:pg)?(?P<number>\d{1,9})(?:-\d)?\.txt")


def is_address(source: str) -> bool:
    """Whether ``source`` is meant as a web address, not as a path."""
    return source.lower().startswith(("http://", "https://"))


async def local_copy(source: str, folder: Path, fetcher: Fetcher, max_bytes: int = _MAX_CATALOGUE_BYTES) -> Path:
    """``source`` itself where it is a path; a web address is downloaded into ``folder``, once and for all.

    Raises UserError where neither works; an interrupted download goes on where it stopped.
    """
    if not is_address(source):
        if not Path(source).is_file():
            raise UserError(f"{source}: no such file; expected a path or an address that begins with https://")
        return Path(source)
    if fault := address_fault(source):
        raise UserError(f"{source}: no web address ({fault}); expected a path or https://HOST/FILE")
    target = folder / (PurePosixPath(urlsplit(source).path).name or "download")
    if not target.is_file():
        try:
            with Progress(target.name, None, "bytes") as progress:
                await fetcher.fetch_large(source, target, max_bytes, progress.advance)
        except FetchFailed as error:
            raise UserError(f"{source}: {error}") from None
    return target


async def bring_members(
    wishes: Mapping[str, Wish], store: BookStore, settings: CorpusSettings, fetcher: Fetcher
) -> dict[str, MissingBook]:
    """Take the books out of the archive into the store; returns those that are not in it or not usable, by id."""
    source = settings.gutenberg.archive
    archive = await local_copy(source, store.layout.work, fetcher, _MAX_ARCHIVE_BYTES)
    missing = {book_id: MissingBook(book_id, "not_found", "not in the archive", source) for book_id in wishes}
    with Progress("unpacking", len(wishes), "books") as progress:
        for member in read_members(archive):
            name = _BOOK_NAME.fullmatch(PurePosixPath(member.name).name)
            book_id = str(int(name["number"])) if name else None
            if name is None or book_id not in missing or book_id in store.held:
                continue
            address = f"{source}#{member.name[:_MAX_NAME_CHARACTERS]}"
            try:
                _take(member, name[0], wishes[book_id], address, store, settings)
            except NotAccepted as error:
                missing[book_id] = MissingBook(book_id, error.reason, error.detail, address)
            except DamagedMember as error:
                missing[book_id] = MissingBook(book_id, "damaged_zip", str(error), address)
            else:
                del missing[book_id]
            progress.advance()
            if not missing:
                break
    return missing


def _take(member: Member, name: str, wish: Wish, address: str, store: BookStore, settings: CorpusSettings) -> None:
    if member.size > settings.max_book_bytes:
        raise NotAccepted("too_large", f"{member.size:,} bytes; at most {settings.max_book_bytes:,} are taken")
    target = store.partial / f"{wish.book_id}.txt"
    try:
        with open(target, "wb") as stream:
            shutil.copyfileobj(member.stream, stream)
        sha256 = check_book(target, wish.entry, settings.rights, settings.max_book_bytes, wish.pinned)
        store.put(wish.book_id, address, sha256, wish.pinned.file if wish.pinned else name, target)
    finally:
        target.unlink(missing_ok=True)
