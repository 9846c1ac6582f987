"""Processes that die by ``kill -9`` right before a chosen change of a file system."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate", "os.utime")
NEVER = sys.maxsize


def run_and_kill(work: Callable[[], object], folder: Path, before_change: int) -> int:
    """Call ``work`` in a process of its own and kill that before its change number ``before_change`` below ``folder``.

    A change is the creation, opening for writing, renaming or removal of a file or folder. Returns how many the process
    began; fewer than asked for where it came to its end first.
    """
    context = multiprocessing.get_context("fork")
    counted = context.Value("l", 0, lock=False)

    def child() -> None:
        def count(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event in _CHANGES or (event == "open" and _is_for_writing(arguments[2]))
            if writes and isinstance(arguments[0], str | Path) and Path(arguments[0]).is_relative_to(folder):
                counted.value += 1
                if counted.value == before_change:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()

    process = context.Process(target=child)
    process.start()
    process.join(300)
    assert process.exitcode == (-signal.SIGKILL if counted.value == before_change else 0)
    return counted.value


def _is_for_writing(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def contents(folder: Path) -> dict[str, bytes | None]:
    """All files below ``folder`` by path, and None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
