"""Processes that die by ``kill -9``, or whose disk is full, right before a chosen change of a file system."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mamba_narrative.errors import UserError
from mamba_narrative.machine_faults import describe_fault

_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate", "os.utime")
_NEED_SPACE = ("open", "os.mkdir", "os.rename", "os.link")
NEVER = sys.maxsize


def run_and_kill(work: Callable[[], object], folder: Path, before_change: int) -> int:
    """Call ``work`` in a process of its own and kill that before its change number ``before_change`` below ``folder``.

    A change is the creation, opening for writing, renaming or removal of a file or folder. Returns how many the process
    began; fewer than asked for where it came to its end first.
    """
    changes, exit_code = _run(work, folder, before_change, lambda event, path: os.kill(os.getpid(), signal.SIGKILL))
    assert exit_code == (-signal.SIGKILL if changes == before_change else 0)
    return changes


def run_on_full_disk(work: Callable[[], object], folder: Path, from_change: int) -> bool:
    """Call ``work`` in a process of its own, where from a change on nothing can be created or renamed below ``folder``.

    Returns whether it came to its end all the same; else it must have failed with an error for people.
    """

    def refuse(event: str, path: Path) -> None:
        if event in _NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def fail_for_people() -> None:
        try:
            work()
        except UserError:
            sys.exit(2)
        except OSError as error:
            sys.exit(2 if describe_fault(error) else 1)

    exit_code = _run(fail_for_people, folder, from_change, refuse)[1]
    assert exit_code in (0, 2)
    return exit_code == 0


def _run(
    work: Callable[[], object], folder: Path, change: int, at_change: Callable[[str, Path], None]
) -> tuple[int, int | None]:
    """The number of changes that ``work`` began, and the exit code of its process."""
    context = multiprocessing.get_context("fork")
    counted = context.Value("l", 0, lock=False)

    def child() -> None:
        def count(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event in _CHANGES or (event == "open" and _is_for_writing(arguments[2]))
            if writes and isinstance(arguments[0], str | Path) and Path(arguments[0]).is_relative_to(folder):
                counted.value += 1
                if counted.value >= change:
                    at_change(event, Path(arguments[0]))

        sys.addaudithook(count)
        work()

    process = context.Process(target=child)
    process.start()
    process.join(300)
    return counted.value, process.exitcode


def _is_for_writing(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def contents(folder: Path) -> dict[str, bytes | None]:
    """All files below ``folder`` by path, and None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
