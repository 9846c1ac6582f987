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
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mamba_narrative.errors import UserError

_MAX_RATIO = 200
"""Text packs 3 to 10 times, RDF about 40 times; bombs pack a thousand times."""
_SMALL_BYTES = 100_000_000
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@dataclass(frozen=True)
class Member:
    """A regular file in an archive; ``stream`` is open until the next member is asked for."""

    name: str
    size: int
    """Bytes, unpacked, by its header; the stream ends there."""
    stream: IO[bytes]


class _Bounded(io.RawIOBase):
    """An unpacked stream that refuses to grow beyond what an honest archive of this size may hold."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path, self._read = stream, path, 0
        self._limit = max(_SMALL_BYTES, _MAX_RATIO * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._stream.read(len(buffer))
        self._read += len(data)
        if self._read > self._limit:
            raise UserError(f"{self._path}: unpacks to more than {self._limit:,} bytes; refused as an archive bomb")
        buffer[: len(data)] = data
        return len(data)


def read_members(path: Path) -> Iterator[Member]:
    """The regular files of an archive in their order; links, devices and sparse files are passed over.

    Raises UserError where it is no archive, is damaged, or unpacks to far more than its size allows.
    """
    try:
        with ExitStack() as stack:
            if zipfile.is_zipfile(path):
                yield from _zip_members(stack.enter_context(zipfile.ZipFile(path)), path)
            else:
                with open(path, "rb") as stream:
                    beginning = stream.read(6)
                opener = next((opener for magic, opener in _OPENERS.items() if beginning.startswith(magic)), open)
                unpacked = stack.enter_context(opener(path, "rb"))
                yield from _tar_members(_Bounded(unpacked, path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read as an archive ({error.strerror or error})") from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise UserError(f"{path}: not an archive, or damaged ({error}); delete it to fetch it again") from None


def _zip_members(archive: zipfile.ZipFile, path: Path) -> Iterator[Member]:
    for info in archive.infolist():
        if info.is_dir() or info.flag_bits & 0x1:
            continue
        with archive.open(info) as stream:
            if info.filename.lower().endswith(".tar"):
                yield from _tar_members(_Bounded(stream, path))
            else:
                yield Member(info.filename, info.file_size, stream)


def _tar_members(stream: _Bounded) -> Iterator[Member]:
    with tarfile.open(fileobj=io.BufferedReader(stream), mode="r|") as archive:
        for info in archive:
            if info.isreg() and not info.issparse() and (member := archive.extractfile(info)) is not None:
                yield Member(info.name, info.size, member)
