"""Ask a run to stop in an orderly way."""

from __future__ import annotations

import logging
import signal
from types import FrameType

EXIT_STOPPED = 75
"""Exit code of a run that was asked to stop, saved its state and can be continued (EX_TEMPFAIL of sysexits.h)."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_LOG = logging.getLogger(__name__)


class StopRequest:
    """Remembers SIGTERM, SIGINT (Ctrl-C) and SIGUSR1 (SLURM's warning) until the loop looks.

    Use as a context manager in the main thread. Repeated signals change nothing: batch systems send several.
    """

    requested: bool = False

    def __enter__(self) -> StopRequest:
        self._previous = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            _LOG.warning("%s: the step ends, the state is saved, then the run stops", signal.Signals(number).name)
        self.requested = True
