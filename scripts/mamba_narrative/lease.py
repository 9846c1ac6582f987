"""A lock that works on all file systems and over machines, and that no dead process keeps.

``flock`` may be missing on a cluster's file systems, or hold on one node only, so the lock is a file that says who
holds it. It is created exclusively, and touched again and again by its holder. A process of this machine that has ended
holds nothing any more; neither does one elsewhere whose file has not been touched for ``EXPIRES_SECONDS``, by the clock
of the one who waits.

The lock of one holder, known by its token, may only be replaced or removed by whoever created the file
``<lock>.<token>``, the claim; so of several who find it dead one takes it over. A claim is held like the lock itself:
that of a dead process may be claimed in turn. A holder that was away for so long that it was taken for dead finds out
by ``check``, which belongs before everything that it writes.

filelock's SoftFileLease is close to this, but takes a dead lock over by exchanging names, which NFS and Lustre cannot.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from mamba_narrative.errors import UserError
from mamba_narrative.io import create_text, write_text
from mamba_narrative.process_identity import ProcessIdentity, parse_identity, this_process
from mamba_narrative.progress import format_duration

BEAT_SECONDS, EXPIRES_SECONDS = 10.0, 120.0
"""Between two signs of life of a holder; silence after which a holder on another machine counts as dead."""
_SECONDS_BETWEEN_LOOKS, _SECONDS_BETWEEN_MESSAGES = 1.0, 60.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Record:
    """What a lock or a claim says of its holder."""

    token: str
    process: ProcessIdentity | None
    text: str
    touched_ns: int

    def __str__(self) -> str:
        if self.process is None:
            return "a process that left no readable name"
        how = f" (to end it: kill {self.process.pid})" if self.process.is_dead() is False else ""
        return f"{self.text}{how}"


class Lease:
    """The lock ``path``; a context manager that releases it, if it was acquired."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.holder: _Record | None = None
        """Who held it when this process asked last; None where nobody did."""
        self.waited = False
        """Whether another process held it at any time."""
        self.lost = False
        """Whether a sign of life has found that another process holds it now."""
        self._token: str | None = None
        self._silence: dict[str, tuple[int, float, float]] = {}
        self._stop = threading.Event()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def try_acquire(self) -> bool:
        """Hold the lock from now on; False where another process does. To be called again every few seconds."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.holder = _read(self.path)
        token = secrets.token_hex(8)
        if self.holder is None:
            acquired = _create(self.path, token)
        else:
            acquired = self._is_dead(self.holder) and self._take_over(self.holder, token)
            self.waited |= not acquired
        if acquired:
            self._token, self.lost = token, False
            self._stop.clear()
            threading.Thread(target=self._show_life, args=(token,), name=str(self.path), daemon=True).start()
            self._remove_dead_claims()
        return acquired

    def acquire(
        self,
        should_stop: Callable[[], bool] = lambda: False,
        progress: Callable[[], str] = str,
        agree: Callable[[bool], bool] = bool,
        first: bool = True,
    ) -> bool:
        """Wait for the lock and say for whom; False where ``should_stop`` became true first.

        ``progress`` tells how far the holder has come. Several processes may wait together: the ``first`` of them is
        the one that holds the lock, and ``agree`` tells all whether any has it.
        """
        begun, said = time.monotonic(), -_SECONDS_BETWEEN_MESSAGES
        while not agree(first and self.try_acquire()):
            if should_stop():
                return False
            waiting = time.monotonic() - begun
            if waiting - said >= _SECONDS_BETWEEN_MESSAGES and self.holder is not None:
                said = waiting
                _LOG.warning(
                    "%s: held by %s%s; waiting until it ends (%s so far)",
                    self.path,
                    self.holder,
                    progress(),
                    format_duration(waiting),
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return True

    def check(self) -> None:
        """Raise UserError where this process does not hold the lock any more: nothing may be written then."""
        if not self._is_mine():
            holder = _read(self.path)
            raise UserError(
                f"{self.path}: this process held this lock and was taken for dead, or the file was deleted; now "
                f"{holder or 'nobody'} holds it. Nothing more was written; start again to go on from what is there"
            )

    def release(self) -> None:
        """Give the lock back, if it is held."""
        self._stop.set()
        token, self._token = self._token, None
        if token is None:
            return
        with suppress(OSError):  # On a full disk the lock stays, as that of a process that will have ended.
            claim = self._claim_of(token)
            if _create(claim, secrets.token_hex(8)):
                try:
                    if (record := _read(self.path)) is not None and record.token == token:
                        self.path.unlink()
                finally:
                    claim.unlink(missing_ok=True)

    def _is_mine(self) -> bool:
        record = _read(self.path)
        return record is not None and record.token == self._token

    def _is_dead(self, record: _Record) -> bool:
        dead = None if record.process is None else record.process.is_dead()
        if dead is not None:
            return dead
        now = time.monotonic()
        touched, looked, silence = self._silence.get(record.token, (0, now, 0.0))
        # A file system that stands still for minutes keeps holders silent, too: between two looks no more than one
        # beat counts.
        silence = silence + min(now - looked, BEAT_SECONDS) if touched == record.touched_ns else 0.0
        self._silence[record.token] = record.touched_ns, now, silence
        return silence >= EXPIRES_SECONDS

    def _take_over(self, dead: _Record, token: str) -> bool:
        claim = self._claim(dead)
        if claim is None:
            return False
        try:
            current = _read(self.path)
            if current is None or current.token != dead.token:
                return False
            _LOG.warning("%s: was held by %s, which is dead; taken over", self.path, dead)
            write_text(self.path, _describe_this_process(token))
            return True
        finally:
            claim.unlink(missing_ok=True)

    def _claim(self, dead: _Record) -> Path | None:
        """The right to replace what ``dead`` left; None where another living process has it."""
        path = self._claim_of(dead.token)
        if _create(path, secrets.token_hex(8)):
            return path
        other = _read(path)
        return self._claim(other) if other is not None and self._is_dead(other) else None

    def _claim_of(self, token: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{token}")

    def _remove_dead_claims(self) -> None:
        for path in self.path.parent.glob(f"{self.path.name}.*"):
            if (record := _read(path)) is not None and self._is_dead(record):
                path.unlink(missing_ok=True)

    def _show_life(self, token: str) -> None:
        while not self._stop.wait(BEAT_SECONDS) and self._token == token:
            with suppress(OSError):  # The next beat may succeed.
                if not self._is_mine():
                    self.lost = self._token == token
                    return
                os.utime(self.path)


def _create(path: Path, token: str) -> bool:
    """Create a lock or a claim of this process; False where there is one."""
    return create_text(path, _describe_this_process(token))


def _describe_this_process(token: str) -> str:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    text = f"process {os.getpid()} on {socket.gethostname()} since {since}"
    return json.dumps({"holder": text, "process": str(this_process()), "token": token}) + "\n"


def _read(path: Path) -> _Record | None:
    """What a lock or a claim says; None where there is none."""
    try:
        with open(path, "rb") as stream:  # Opening asks a file server for the newest state.
            status, content = os.fstat(stream.fileno()), stream.read(2**16)
    except FileNotFoundError:
        return None
    try:
        record = json.loads(content)
        token, text = str(record["token"]), str(record["holder"])
        process = parse_identity(record["process"])
    except (ValueError, KeyError, TypeError):  # half-written: there are no hard links
        token, text, process = f"unreadable-{status.st_ino}-{status.st_mtime_ns}", "", None
    return _Record(token, process, text, status.st_mtime_ns)
