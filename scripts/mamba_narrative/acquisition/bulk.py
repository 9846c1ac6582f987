"""Books out of Project Gutenberg's archive of all texts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from mamba_narrative.acquisition.acceptance import NotAccepted, check_book
from mamba_narrative.acquisition.archives import Member, read_members
from mamba_narrative.acquisition.fetching import Fetcher
from mamba_narrative.acquisition.store import BookStore, MissingBook, Wish
from mamba_narrative.acquisition.transfer import FetchFailed
from mamba_narrative.config.corpus import CorpusSettings
from mamba_narrative.errors import UserError
from mamba_narrative.progress import Progress

_MAX_DOWNLOAD_BYTES = 100_000_000_000
_BOOK_NAME = re.compile(r"(?:pg)?(?P<number>\d{1,9})(?:-\d)?\.txt")


async def local_copy(source: str, folder: Path, fetcher: Fetcher) -> Path:
    """``source`` itself where it is a path; a web address is downloaded into ``folder``, once and for all.

    Raises UserError where neither works; an interrupted download goes on where it stopped.
    """
    address = urlsplit(source)
    if address.scheme not in ("http", "https"):
        if not Path(source).is_file():
            raise UserError(f"{source}: no such file; expected a path or an address that begins with https://")
        return Path(source)
    target = folder / (PurePosixPath(address.path).name or "download")
    if not target.is_file():
        try:
            with Progress(target.name, None, "bytes") as progress:
                await fetcher.fetch_large(source, target, _MAX_DOWNLOAD_BYTES, progress.advance)
        except FetchFailed as error:
            raise UserError(f"{source}: {error}") from None
    return target


async def bring_members(
    wishes: Mapping[str, Wish], store: BookStore, settings: CorpusSettings, fetcher: Fetcher
) -> dict[str, MissingBook]:
    """Take the books out of the archive into the store; returns those that are not in it or not usable, by id."""
    source = settings.gutenberg.archive
    archive = await local_copy(source, store.layout.work, fetcher)
    missing = {book_id: MissingBook(book_id, "not_found", "not in the archive", source) for book_id in wishes}
    with Progress("unpacking", len(wishes), "books") as progress:
        for member in read_members(archive):
            name = _BOOK_NAME.fullmatch(PurePosixPath(member.name).name)
            book_id = str(int(name["number"])) if name else None
            if name is None or book_id not in missing or book_id in store.held:
                continue
            address = f"{source}#{member.name}"
            try:
                _take(member, name[0], wishes[book_id], address, store, settings)
            except NotAccepted as error:
                missing[book_id] = MissingBook(book_id, error.reason, error.detail, address)
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
