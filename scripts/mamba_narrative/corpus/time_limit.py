"""A limit of processor time for one book: the last line of defence against a book that nobody thought of."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mamba_narrative.corpus.raw.raw_bytes import UnreadableBook

_SECONDS, _CHARACTERS_A_SECOND = 10.0, 20_000
"""See ``seconds_allowed``."""


def seconds_allowed(size: int) -> float:
    """Seconds of processor time for a book of ``size`` bytes or characters: some 50 times what a book takes.

    So generous that no book of the usual kind meets it on any machine: results do not depend on speed.
    """
    return _SECONDS + size / _CHARACTERS_A_SECOND


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise UnreadableBook with reason ``too_slow`` inside the block once it has used ``seconds`` of processor time.

    The regular expressions of Python are interrupted, too. Signals reach the main thread alone: in others there is no
    limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise UnreadableBook("too_slow", f"more than {seconds:.0f} seconds of processor time")

    # The processor time of this process, as it runs outside the kernel: a slow disk or a busy machine does not count.
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
