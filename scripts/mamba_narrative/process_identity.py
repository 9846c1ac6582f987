"""Which process wrote something, told so that another one can find out whether it still runs."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TEXT = re.compile(r"([0-9a-f]{8})-(\d+)-(\d+)")
_STATE, _THREADS, _START = 0, 17, 19
"""Fields of /proc/<pid>/stat after the command's name (proc(5))."""


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one machine; another one that gets its number later is not it."""

    machine: str
    """Eight hexadecimal digits: the boot of the machine, and the space in which its processes are numbered."""
    pid: int
    start: int
    """Clock ticks from the boot to its start; 0 where the system does not tell."""

    def __str__(self) -> str:
        return f"{self.machine}-{self.pid}-{self.start}"

    def is_dead(self) -> bool | None:
        """Whether it has ended; None where that cannot be seen: of another machine, container or boot."""
        if self.machine != _machine():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        ended, start = _end_and_start(self.pid)
        return ended or (0 not in (start, self.start) and start != self.start)


def this_process() -> ProcessIdentity:
    """The process that asks."""
    return ProcessIdentity(_machine(), os.getpid(), _end_and_start(os.getpid())[1])


def parse_identity(text: str) -> ProcessIdentity | None:
    """What ``str`` made of an identity; None for any other text."""
    match = _TEXT.fullmatch(text)
    return ProcessIdentity(match[1], int(match[2]), int(match[3])) if match and 0 < int(match[2]) < 2**31 else None


@cache
def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        # Containers of one machine share its boot, and each numbers its processes anew.
        name = f"{boot.read_text(encoding='ascii')} {os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116
    except (FileNotFoundError, PermissionError):  # no Linux, or hidden
        name = socket.gethostname()
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _end_and_start(pid: int) -> tuple[bool, int]:
    """Whether a process has ended and is only remembered, and its start; False and 0 where they cannot be read."""
    with suppress(OSError, IndexError, ValueError):
        # The name stands in parentheses and may contain some itself.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        # Its first thread may have ended before others, which still write.
        return fields[_STATE] in (b"Z", b"X") and int(fields[_THREADS]) <= 1, int(fields[_START])
    return False, 0
