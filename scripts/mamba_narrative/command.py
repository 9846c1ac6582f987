"""The one way in which commands parse, log and fail.

Exit codes: 0 done; 1 a bug (with traceback); 2 wrong input or settings, or a fault of the machine (a message says
which); 75 stopped with its state saved, start it again (training alone); 130 stopped by Ctrl-C; 143 by
SIGTERM. A reader that closes its pipe is no fault: 0.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mamba_narrative.config.base import explain
from mamba_narrative.errors import UserError
from mamba_narrative.machine_faults import describe_fault
from mamba_narrative.strict_yaml import parse_yaml, read_yaml

Settings = TypeVar("Settings", bound=BaseModel)
EXIT_BUG, EXIT_USER_ERROR, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143
_EXIT_CODES = (
    "exit codes: 0 done, 1 a bug, 2 wrong input or a fault of the machine, 75 stopped with its state saved, "
    "130 stopped by Ctrl-C, 143 by SIGTERM"
)
_LOG = logging.getLogger("mamba_narrative")


def command_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser with ``--help`` that shows ``example``, and ``--log`` for a second copy of the messages."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"example:\n  {example}\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--log", type=Path, help="also write messages to this file")
    return parser


def settings_argument(model: type[Settings]) -> Callable[[str], Settings]:
    """An argparse type: ``model`` from inline JSON (``{...}``) or from a JSON or YAML file."""

    def parse(value: str) -> Settings:
        try:
            inline = value.lstrip().startswith("{")
            return model.model_validate(parse_yaml(value, "inline") if inline else read_yaml(Path(value)))
        except ValidationError as error:
            raise argparse.ArgumentTypeError(explain(error)) from None
        except UserError as error:
            raise argparse.ArgumentTypeError(f"neither JSON nor a readable YAML file: {error}") from None

    return parse


def add_settings(parser: argparse.ArgumentParser, model: type[BaseModel], section: str) -> None:
    """Add ``--settings``: ``section`` of the configuration as ``model``, with its defaults where it is not given."""
    parser.add_argument(
        "--settings",
        type=settings_argument(model),
        default=model(),
        help=f"{section} as JSON or a file (default: its defaults)",
    )


def number_argument(
    kind: type[int] | type[float], least: float, most: float = math.inf
) -> Callable[[str], int | float]:
    """An argparse type: a number from ``least`` to ``most``."""

    def parse(value: str) -> int | float:
        try:
            number = kind(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            expected = f"at least {least:,}" if most == math.inf else f"from {least:,} to {most:,}"
            whole = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{value!r} is not {whole} {expected}")
        return number

    return parse


class _Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler above all; what is half-written is removed on the way out, as after Ctrl-C."""


def run_command(main: Callable[[argparse.Namespace], int | None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line, set up logging, call ``main``, and end the process with its exit code."""
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _set_up_logging(arguments.log)
        code = main(arguments) or 0
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
