"""What the commands that measure are told: tokens, settings, where results go and, for models, the run."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser
from mamba_narrative.config.base import Section


def run_parser(
    description: str, example: str, settings: type[Section], section: str, tokens: str = "test token files"
) -> argparse.ArgumentParser:
    """For the measurements of a trained run; see ``baseline_parser``."""
    parser = command_parser(description, example)
    parser.add_argument("--run-directory", type=Path, required=True, help="folder of the run: run.json and model/")
    _add_files(parser, settings, section, tokens)
    return parser


def baseline_parser(
    description: str, example: str, settings: type[Section], section: str, tokens: str = "train and test token files"
) -> argparse.ArgumentParser:
    """For the measurements of what needs no run. ``section`` and ``tokens`` say which settings and files are read."""
    parser = command_parser(description, example)
    _add_files(parser, settings, section, tokens)
    return parser


def _add_files(parser: argparse.ArgumentParser, settings: type[Section], section: str, tokens: str) -> None:
    parser.add_argument("--tokens", type=Path, required=True, help=f"folder of the {tokens}")
    add_settings(parser, settings, section)
    parser.add_argument("--output-directory", type=Path, required=True, help="folder for the results")
