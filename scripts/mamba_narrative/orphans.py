"""No command goes on for a program that is gone."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def stop_with_parent() -> None:
    """Have the system send SIGTERM to this process, and to what it becomes, when the one that started it ends.

    However that ends, by ``kill -9`` and for lack of memory too. Training saves its state then. Linux alone does this.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
