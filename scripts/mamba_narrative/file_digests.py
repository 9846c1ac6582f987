"""SHA-256 of files whose content decides what is outdated, read again only where the file system says they changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mamba_narrative.io import write_text
from mamba_narrative.progress import Progress

_READERS = 8
# A file that changed less than a tick of the file system's clock ago may change once more without a new time.
_TICK_NS = 2_000_000_000


@dataclass(frozen=True)
class _Entry:
    stamp: tuple[int, ...]
    """Size, modification time, change time (both ns), inode."""
    digest: str
    settled: bool
    """Whether a later change is sure to change the stamp."""


class FileDigests:
    """Digests of files, remembered in the file ``cache`` under size, times and inode.

    These decide only whether a file is read again: one replaced by a file with an older time is read, a touched one is
    read and found equal. Each file is looked at once in the life of an object, so that its answers agree with each
    other. The cache may be deleted at any time.
    """

    def __init__(self, cache: Path) -> None:
        """Read ``cache``; one that is missing or damaged is empty."""
        self._cache = cache
        self._checked: set[str] = set()
        try:
            saved = json.loads(cache.read_text(encoding="ascii"))
            self._entries = {path: _Entry(tuple(stamp), str(digest), True) for path, (stamp, digest) in saved.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._entries = {}

    def of(self, path: str | os.PathLike[str]) -> str:
        """Hexadecimal SHA-256 of one file, or why it cannot be read (``unreadable: Permission denied``)."""
        return self.of_all([os.fspath(path)])[0]

    def of_all(self, paths: Iterable[str], title: str = "reading new and changed files") -> list[str]:
        """``of`` for many files, in their order. What must be read is read side by side, with progress."""
        absolute = [os.path.abspath(path) for path in paths]
        if changed := [path for path in dict.fromkeys(absolute) if not self._is_unchanged(path)]:
            with ThreadPoolExecutor(_READERS) as readers, Progress(title, len(changed), "files") as progress:
                for path, entry in zip(changed, readers.map(_read, changed), strict=True):
                    self._entries[path] = entry
                    progress.advance()
            self._save()
        self._checked.update(absolute)
        return [self._entries[path].digest for path in absolute]

    def _is_unchanged(self, path: str) -> bool:
        if path in self._checked:
            return True
        entry = self._entries.get(path)
        try:
            return entry is not None and entry.stamp == _stamp(os.stat(path))
        except OSError:
            return False

    def _save(self) -> None:
        known = {
            path: (entry.stamp, entry.digest)
            for path, entry in self._entries.items()
            if entry.settled and os.path.exists(path)
        }
        try:
            write_text(self._cache, json.dumps(known))
        except OSError:
            pass  # A folder that cannot be written to costs time at the next call, nothing else.


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _read(path: str) -> _Entry:
    try:
        # Files of /proc claim to be regular and empty, and reading some of them blocks.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            before = os.fstat(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256") if before.st_size else hashlib.sha256()
            after = os.fstat(stream.fileno())
    except OSError as error:
        return _Entry((), f"unreadable: {error.strerror}", settled=False)
    unchanged = _stamp(before) == _stamp(after)
    settled = unchanged and time.time_ns() - after.st_ctime_ns > _TICK_NS
    return _Entry(_stamp(after), digest.hexdigest(), settled)
