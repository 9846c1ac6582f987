"""The bytes of a raw book: plain, gzip or zip, never more than allowed.

What the bytes are decides, not the name: a gzip file called ``.txt`` is unpacked, a plain one called ``.gz`` is read.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

from mamba_narrative.corpus.raw.encoding import wide_encoding

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_BINARY_BEGINNINGS = (
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\x7fELF",
    b"BZh",
    b"7z\xbc\xaf",
    b"\xd0\xcf\x11\xe0",
)
_MARKUP_BEGINNINGS = (b"<!doctype html", b"<html", b"<?xml", b"{\\rtf")
# Tab, line feed, vertical tab, form feed, carriage return, and DOS end of file and escape do occur in real texts.
_JUNK_BYTES = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1a\x1b")
_MAX_JUNK_SHARE = 0.01
"""A text that was damaged on its way has a few such bytes, a program many."""


class UnreadableBook(Exception):  # noqa: N818 (it is the book that is unreadable)
    """A raw file from which no text can be taken: ``reason`` is a code, ``detail`` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def read_raw(path: Path, max_bytes: int) -> bytes:
    """The unpacked bytes of one raw book.

    Raises UnreadableBook with reason ``unreadable_file``, ``empty_file``, ``too_large`` (packed or unpacked),
    ``truncated_gzip``, ``damaged_gzip``, ``damaged_zip``, ``encrypted_zip``, ``zip_without_text``,
    ``zip_several_members``, ``html_file`` (any markup) or ``binary_file``.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableBook("unreadable_file", error.strerror or type(error).__name__) from None
    _check_size(data, max_bytes, "the file")
    if data.startswith(_GZIP):
        data = _unpack_gzip(data, max_bytes)
    elif data.startswith(_ZIP) or zipfile.is_zipfile(io.BytesIO(data)):
        data = _unpack_zip(data, max_bytes)
    _check_content(data)
    return data


def _check_size(data: bytes, max_bytes: int, what: str) -> None:
    if len(data) > max_bytes:
        raise UnreadableBook("too_large", f"{what} has more than {max_bytes} bytes")


def _unpack_gzip(data: bytes, max_bytes: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(max_bytes + 1)
    except EOFError:
        raise UnreadableBook("truncated_gzip", "the packed data ends too early") from None
    except (OSError, zlib.error) as error:
        raise UnreadableBook("damaged_gzip", str(error)) from None
    _check_size(unpacked, max_bytes, "the unpacked text")
    return unpacked


def _unpack_zip(data: bytes, max_bytes: int) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            texts = [
                member
                for member in archive.infolist()
                if member.filename.lower().endswith(".txt") and not member.filename.startswith("__MACOSX/")
            ]
            if not texts:
                raise UnreadableBook("zip_without_text", f"no .txt among {len(archive.infolist())} members")
            if len(texts) > 1:
                raise UnreadableBook("zip_several_members", f"{len(texts)} .txt members; expected one")
            if texts[0].flag_bits & 0x1:
                raise UnreadableBook("encrypted_zip", "the member needs a password")
            with archive.open(texts[0]) as stream:
                unpacked = stream.read(max_bytes + 1)
    except UnreadableBook:
        raise
    except Exception as error:
        # The library lets errors of its parts through: of checksums, numbers, names, methods that this Python lacks.
        raise UnreadableBook("damaged_zip", str(error) or type(error).__name__) from None
    _check_size(unpacked, max_bytes, "the unpacked text")
    return unpacked


def _check_content(data: bytes) -> None:
    if not data.strip():
        raise UnreadableBook("empty_file", "no byte other than white space")
    if data.startswith(_BINARY_BEGINNINGS):
        raise UnreadableBook("binary_file", "begins like an image, a document or a program")
    if data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP_BEGINNINGS):
        raise UnreadableBook("html_file", "begins with markup; expected plain text")
    content = data.rstrip(b"\x00")
    if wide_encoding(data) is None:
        junk = len(content) - len(content.translate(None, _JUNK_BYTES))
        if junk > _MAX_JUNK_SHARE * len(content) or not content:
            raise UnreadableBook("binary_file", f"{junk} of {len(content)} bytes are control characters")
