"""Types of flags: how the text of a value is read, and what is said of a wrong one."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mamba_narrative.config.base import explain
from mamba_narrative.errors import UserError
from mamba_narrative.strict_yaml import parse_yaml, read_yaml

Settings = TypeVar("Settings", bound=BaseModel)


def settings_argument(model: type[Settings]) -> Callable[[str], Settings]:
    """``model`` from inline JSON (``{...}``) or from a JSON or YAML file."""

    def parse(value: str) -> Settings:
        try:
            inline = value.lstrip().startswith("{")
            return model.model_validate(parse_yaml(value, "inline") if inline else read_yaml(Path(value)))
        except ValidationError as error:
            raise argparse.ArgumentTypeError(explain(error)) from None
        except UserError as error:
            raise argparse.ArgumentTypeError(f"neither JSON nor a readable YAML file: {error}") from None

    return parse


def number_argument(
    kind: type[int] | type[float], least: float, most: float = math.inf
) -> Callable[[str], int | float]:
    """A number from ``least`` to ``most``."""

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
