"""Progress of long work: a bar on a terminal, plain lines with rate and time left in logs."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_LOG = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 10.0


def format_duration(seconds: float) -> str:
    """``75`` as ``1:15``, ``3700`` as ``1:01:40``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _has_terminal() -> bool:
    # With a log file the command is one of several in a workflow: bars would overwrite each other.
    writes_a_log = any(isinstance(handler, logging.FileHandler) for handler in logging.getLogger().handlers)
    return sys.stderr.isatty() and not writes_a_log


class Progress:
    """Counts work done out of ``total`` and says so: a bar on a terminal, else a log line now and then.

    ``unit`` is the plural name of what is counted ("books", "tokens"). Use as a context manager.
    """

    def __init__(self, title: str, total: int | None, unit: str, done: int = 0) -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, done
        self._first, self._started = done, time.monotonic()
        self._last_line = self._started
        self._bar = tqdm(total=total, initial=done, desc=title, unit=f" {unit}") if _has_terminal() else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Add ``count`` to what is done; ``note`` is shown beside it (a loss, say)."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
            if note:
                self._bar.set_postfix_str(note)
            return
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            _LOG.info("%s", self.line(now, note))

    def line(self, now: float, note: str = "") -> str:
        """The state of the work as one line of text."""
        rate = (self.done - self._first) / max(now - self._started, 1e-9)
        parts = [f"{self.title}: {self.done:,}" + (f" of {self.total:,}" if self.total else "") + f" {self.unit}"]
        if rate > 0:
            parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2f}/s")
            if self.total:
                parts.append(f"{format_duration((self.total - self.done) / rate)} left")
        return ", ".join(parts + ([note] if note else []))


def track(items: Iterable[Item], title: str, total: int | None, unit: str) -> Iterator[Item]:
    """Yield ``items`` and report progress after each."""
    with Progress(title, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
