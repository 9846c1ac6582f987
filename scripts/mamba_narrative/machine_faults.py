"""Errors of the machine, told so that a person can do something about them: full disks, missing rights, limits."""

from __future__ import annotations

import errno
import os
import re

_FAILING = "the disk or the file server fails; look at the system's log, and start again when it works"
_ADVICE = {
    "ENOSPC": "make room there, or choose a folder on another disk, and start again",
    "EDQUOT": "your share of this disk is used up: make room, or choose a folder on another disk, and start again",
    "EFBIG": "the file system or a limit (ulimit -f) allows no file of this size",
    "EROFS": "nothing can be written there; choose another folder",
    "EACCES": "change its owner or its rights, or choose another folder",
    "EPERM": "change its owner or its rights, or choose another folder",
    "EIO": _FAILING,
    "ENXIO": _FAILING,
    "ENODEV": _FAILING,
    "EREMOTEIO": _FAILING,
    "ESTALE": _FAILING,
    "ETIMEDOUT": _FAILING,
    "EMFILE": "raise the limit of open files (ulimit -n) and start again",
    "ENFILE": "too many files are open on this machine; end other programs and start again",
    "EAGAIN": "raise the limit of processes (ulimit -u), or end other programs, and start again",
    "ENOMEM": "end other programs, or take a machine or a job with more memory (mem_mb), and start again",
    "ENOLCK": "the file system grants no more locks; look at its mount options, or choose another folder",
    "ENAMETOOLONG": "choose a shorter name, or a folder with a shorter path",
    "ELOOP": "links lead in a circle; remove one of them",
}
_OF_RUST = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust name the system's error."""
_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "std::bad_alloc")


def describe_fault(error: BaseException) -> str | None:
    """What happened, to which path, and what to do; None where ``error`` is not the machine's."""
    where = ""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, OSError) and error.filename is not None:
        where = f"{os.fsdecode(error.filename) if not isinstance(error.filename, int) else error.filename}: "
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY)
    ):
        number = errno.ENOMEM
    elif isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        number = errno.EAGAIN
    elif number is None and (match := _OF_RUST.search(str(error))):
        number = int(match[1])
    advice = _ADVICE.get(errno.errorcode.get(number or 0, ""))
    if advice is None:
        return describe_fault(error.__cause__) if error.__cause__ is not None else None
    detail = "" if isinstance(error, OSError) or not str(error) else f" ({str(error).splitlines()[0]})"
    return f"{where}{os.strerror(number or 0)}{detail}; {advice}"
