"""The one way in which commands parse, log and fail.

Exit codes: 0 done; 1 a bug (with traceback); 2 wrong input or settings, or a fault of the machine (a message says
which); 75 stopped with its state saved, start it again (training alone); 130 stopped by Ctrl-C; 143 by
SIGTERM. A reader that closes its pipe is no fault: 0.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from mamba_narrative.errors import UserError
from mamba_narrative.machine_faults import describe_fault
from mamba_narrative.signature import add_parameters, call

EXIT_BUG, EXIT_USER_ERROR, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143
_EXIT_CODES = (
    "exit codes: 0 done, 1 a bug, 2 wrong input or a fault of the machine, 75 stopped with its state saved, "
    "130 stopped by Ctrl-C, 143 by SIGTERM"
)
_LOG = logging.getLogger("mamba_narrative")


def command_parser(main: Callable[..., object], documentation: str | None) -> argparse.ArgumentParser:
    """A parser of the parameters of ``main``, with ``--log`` for a second copy of the messages.

    ``documentation`` of the command is shown by ``--help``; it ends with an example, below a line ``example:``.
    """
    description, _, example = (documentation or "").partition("\nexample:\n")
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"example:\n{example}\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--log", type=Path, help="also write messages to this file")
    add_parameters(parser, main)
    return parser


class _Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler above all; what is half-written is removed on the way out, as after Ctrl-C."""


def run_command(main: Callable[..., int | None], documentation: str | None) -> None:
    """Parse the command line, set up logging, call ``main``, and end the process with its exit code."""
    arguments = command_parser(main, documentation).parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _set_up_logging(arguments.log)
        code = call(main, arguments) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # a pager was closed, or `head` has seen enough
        _discard_output()
        code = 0
    except UserError as error:
        _LOG.error("error: %s", error)
        code = EXIT_USER_ERROR
    except KeyboardInterrupt as error:
        code = EXIT_TERMINATED if isinstance(error, _Terminated) else EXIT_INTERRUPTED
        by = "SIGTERM" if isinstance(error, _Terminated) else "the keyboard"
        _LOG.error("stopped by %s; nothing half-written is left", by)
    except Exception as error:
        if (fault := describe_fault(error)) is not None:
            _LOG.error("error: %s", fault)
            code = EXIT_USER_ERROR
            try:
                sys.stdout.flush()
            except OSError:  # Python would try again at its end.
                _discard_output()
        else:
            _LOG.exception("unexpected error: this is a bug in the program, please report it with this log")
            code = EXIT_BUG
    logging.shutdown()
    sys.exit(code)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _LogFile(logging.FileHandler):
    """A copy of the messages; where it cannot be written, on a full disk, say, that is said once, and work goes on."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            print(f"{self.baseFilename}: the log cannot be written ({error.strerror})", file=sys.stderr)


def _set_up_logging(log: Path | None) -> None:
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    _LOG.setLevel(logging.INFO)
    script = Path(sys.argv[0]).stem
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter(f"[{script}] %(message)s"))
    root.addHandler(to_terminal)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        to_file = _LogFile(log, mode="a", encoding="utf-8")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        root.addHandler(to_file)
