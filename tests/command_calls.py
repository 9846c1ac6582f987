"""Call a command in this process as its command line would."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from types import ModuleType

from mamba_narrative.command import command_parser
from mamba_narrative.signature import call


def parser_of(command: ModuleType) -> ArgumentParser:
    """What reads the command line of a module of `scripts/`."""
    return command_parser(command.main, command.__doc__)


def run(command: ModuleType, *arguments: str | Path) -> None:
    """What ``python scripts/<command>.py`` does, but for its messages and exit code."""
    call(command.main, parser_of(command).parse_args([str(argument) for argument in arguments]))
