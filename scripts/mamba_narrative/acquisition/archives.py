"""Members of packed archives, one after another, never trusting a name or a size that the archive claims.

Understood are tar files, plain or packed with gzip, bzip2 or xz, and zip files of texts or of one tar file (Project
Gutenberg's ``txt-files.tar.zip``). Nothing is ever written to a path that an archive names.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from mamba_narrative.errors import UserError

_MAX_RATIO = 200
"""Text packs 3 to 10 times, RDF about 40 times; bombs pack a thousand times."""
_SMALL_BYTES = 100_000_000
_LONG_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_MAX_HEADER_BYTES = 1_000_000
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@dataclass(frozen=True)
class Member:
    """A regular file in an archive; ``stream`` is open until the next member is asked for."""

    name: str
    size: int
    """Bytes, unpacked, by its header; the stream ends there."""
    stream: IO[bytes]
    """Reading it raises DamagedMember where later members can still be read, else UserError."""


class DamagedMember(UserError):  # noqa: N818 (it is the member that is damaged)
    """One member cannot be unpacked, those behind it can."""


class _Budget:
    """Refuses more bytes than an honest archive of this size may hold."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0
        self._limit = max(_SMALL_BYTES, _MAX_RATIO * path.stat().st_size)

    def spend(self, size: int) -> None:
        """Raises UserError when all is spent."""
        self._read += size
        if self._read > self._limit:
            raise UserError(f"{self._path}: unpacks to more than {self._limit:,} bytes; refused as an archive bomb")


class _Unpacked(io.RawIOBase):
    """An unpacked stream within the budget, opened when it is first read, whose errors are those of this module."""

    def __init__(
        self, opened: Callable[[], IO[bytes]], path: Path, budget: _Budget | None, kind: type[UserError]
    ) -> None:
        self._opened, self._path, self._budget, self._kind = opened, path, budget, kind
        self._stream: IO[bytes] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        with _named_errors(self._path, self._kind):
            self._stream = self._stream or self._opened()
            data = self._stream.read(len(buffer))
        if self._budget is not None:
            self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)


class _TarHeader(tarfile.TarInfo):
    """A header of a tar file; no name or list of attributes fills the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> tarfile.TarInfo:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _LONG_HEADERS and header.size > _MAX_HEADER_BYTES:
            raise ValueError(f"a header of {header.size:,} bytes")
        return header


def read_members(path: Path) -> Iterator[Member]:
    """The regular files of an archive in their order; links, devices and sparse files are passed over.

    Raises UserError where it is no archive, is damaged, or unpacks to far more than its size allows. A damaged or
    encrypted member of a zip file raises DamagedMember when it is read.
    """
    with _named_errors(path), ExitStack() as stack:
        budget = _Budget(path)
        if zipfile.is_zipfile(path):
            yield from _zip_members(stack.enter_context(zipfile.ZipFile(path)), path, budget)
        else:
            with open(path, "rb") as stream:
                beginning = stream.read(6)
            opener = next((opener for magic, opener in _OPENERS.items() if beginning.startswith(magic)), open)
            unpacked = stack.enter_context(opener(path, "rb"))
            yield from _tar_members(unpacked, path, budget)


@contextmanager
def _named_errors(path: Path, kind: type[UserError] = UserError) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise kind(f"{path}: cannot be read as an archive ({error.strerror or error})") from None
    except Exception as error:
        # The libraries let errors of their parts through: of numbers, names, checksums, and of too deep a recursion.
        what = f"{type(error).__name__}: {str(error)[:200]}"
        raise kind(f"{path}: not an archive, or damaged ({what}); delete it to fetch it again") from None


def _zip_members(archive: zipfile.ZipFile, path: Path, budget: _Budget) -> Iterator[Member]:
    for info in archive.infolist():
        if info.is_dir():
            continue
        if info.filename.lower().endswith(".tar"):
            with archive.open(info) as stream:
                yield from _tar_members(stream, path, budget)
        else:
            with ExitStack() as stack:
                opened = partial(_opened, archive, info, stack)
                yield Member(info.filename, info.file_size, _buffered(opened, path, budget, DamagedMember))


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo, stack: ExitStack) -> IO[bytes]:
    return stack.enter_context(archive.open(info))


def _tar_members(unpacked: IO[bytes], path: Path, budget: _Budget) -> Iterator[Member]:
    stream = _buffered(lambda: unpacked, path, budget, UserError)
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarHeader) as archive:
        for info in archive:
            if info.isreg() and not info.issparse() and (member := archive.extractfile(info)) is not None:
                name = info.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                yield Member(name, info.size, _buffered(lambda member=member: member, path, None, UserError))


def _buffered(opened: Callable[[], IO[bytes]], path: Path, budget: _Budget | None, kind: type[UserError]) -> IO[bytes]:
    return io.BufferedReader(_Unpacked(opened, path, budget, kind))
