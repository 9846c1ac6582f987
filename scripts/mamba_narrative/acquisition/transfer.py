"""One HTTP answer to one file: its status, its encoding, its length, and going on with a transfer that broke off."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2

from mamba_narrative.config.acquisition import address_fault
from mamba_narrative.io import read_text, write_text

_CHUNK_BYTES = 1 << 16
_MAX_DETAIL_CHARACTERS = 500
_BUSY = (429, 503)
_REASONS = {401: "forbidden", 403: "forbidden", 404: "not_found", 410: "not_found", 451: "forbidden"}


class FetchFailed(Exception):  # noqa: N818 (it is the fetch that failed)
    """``reason`` is a code and ``detail`` says what happened; ``passes``: another attempt may end otherwise."""

    def __init__(
        self,
        reason: str,
        detail: str,
        passes: bool = False,
        retry_after: float | None = None,
        elsewhere: bool = False,
    ) -> None:
        detail = detail[:_MAX_DETAIL_CHARACTERS]  # Addresses may be as long as a server likes.
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.passes = reason, detail, passes
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""
        self.elsewhere = elsewhere
        """It failed on another server, to which a redirect led."""

    @property
    def is_busy(self) -> bool:
        """The server has too much to do, for any request."""
        return self.reason == "busy"


def redirection(url: str, response: httpx2.Response) -> str:
    """Where a redirect leads. Raises FetchFailed where that is no web address, or less safe than ``url``."""
    location = response.headers["location"]
    try:
        target = urljoin(url, location)
        fault = address_fault(target)
    except ValueError as error:  # brackets in the wrong place
        target, fault = location, str(error)
    if not fault and url.startswith("https:") and urlsplit(target).scheme != "https":
        fault = "it is less safe"
    if fault:
        raise FetchFailed("bad_redirect", f"{url} leads to {target[:200]!r}: {fault}")
    return target


def check_status(response: httpx2.Response) -> None:
    """Raise FetchFailed for every status but 200 and 206."""
    status = response.status_code
    if status in (200, 206):
        return
    detail = f"status {status} for {response.url}"
    if status < 400:
        raise FetchFailed("no_content", f"{detail}, without a text and without another address")
    if status in _BUSY:
        raise FetchFailed("busy", detail, passes=True, retry_after=_retry_after(response.headers.get("retry-after")))
    passes = status >= 500 or status in (408, 425)
    reason = _REASONS.get(status, "server_error" if status >= 500 else f"http_{status}")
    raise FetchFailed(reason, detail, passes=passes)


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date; None where it is neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def resuming_headers(part: Path) -> dict[str, str]:
    """Ask for what ``part`` lacks, on condition that the file on the server is still the same one."""
    headers = {"Accept-Encoding": "identity"}
    if part.is_file() and _validator_of(part).is_file():
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": read_text(_validator_of(part))}
    return headers


def forget_part(part: Path) -> None:
    """The transfer is complete, or must begin anew."""
    _validator_of(part).unlink(missing_ok=True)


def _validator_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


async def save(
    response: httpx2.Response, target: Path, max_bytes: int, told: Callable[[int], None], resumable: bool
) -> None:
    """Write the body to ``target``, unpacked where the server packed it, never more than ``max_bytes``.

    Raises FetchFailed with reason ``range``, ``too_large``, ``length`` (cut off) or ``encoding``; network errors pass
    through.
    """
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", ""):
        raise FetchFailed("encoding", f"Content-Encoding {coding!r}; expected gzip or none")
    start = 0
    if response.status_code == 206:
        asked = response.request.headers.get("range", "").removeprefix("bytes=")
        if not asked or not response.headers.get("content-range", "").startswith(f"bytes {asked}") or "gzip" in coding:
            forget_part(target)
            raise FetchFailed("range", "the server sent another range than the one asked for", passes=True)
        start = int(asked.removesuffix("-"))
        told(start)
    elif resumable:
        validator = response.headers.get("etag") or response.headers.get("last-modified") or ""
        forget_part(target)
        if validator.isascii() and validator and not validator.startswith("W/") and "gzip" not in coding:
            write_text(_validator_of(target), validator)
    length = response.headers.get("content-length", "")
    if length.isdecimal() and start + int(length) > max_bytes:
        raise FetchFailed("too_large", f"{start + int(length):,} bytes; at most {max_bytes:,} are taken")
    inflate = zlib.decompressobj(wbits=31) if "gzip" in coding else None
    size = start
    with open(target, "ab" if start else "wb") as stream:
        async for packed in response.aiter_raw(_CHUNK_BYTES):
            piece = _inflated(inflate, packed, max_bytes + 1 - size) if inflate else packed
            size += len(piece)
            if size > max_bytes:
                raise FetchFailed("too_large", f"more than {max_bytes:,} bytes")
            stream.write(piece)
            told(len(piece))
    if inflate is not None and not inflate.eof:
        raise FetchFailed("length", "the packed data ends too early", passes=True)
    if inflate is not None and inflate.unused_data:
        raise FetchFailed("encoding", "more follows the end of the packed data")


def _inflated(inflate: zlib._Decompress, packed: bytes, room: int) -> bytes:
    """Never more than ``room`` bytes, whatever a few packed bytes claim to hold."""
    try:
        return inflate.decompress(packed, max(1, room))
    except zlib.error as error:
        raise FetchFailed("encoding", f"damaged gzip data ({error})", passes=True) from None
