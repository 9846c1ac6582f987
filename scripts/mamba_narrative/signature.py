"""The command line of a function: names, types, defaults and help of its flags are those of its parameters.

- A parameter is a flag of its name, a positional-only one an argument in its place, ``*rest`` all that follows.
- Without a default it is required. ``X | None`` is read as ``X``.
- ``bool`` is a switch, and ``bool | None`` one with ``--no-`` beside it. ``Literal`` has choices. A sequence takes one
  value or more, and also none where its default is ``()``. A section of the settings is JSON or a file.
- In ``Annotated`` a text is the help, a function reads the value, and a list holds the choices.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel

from mamba_narrative.argument_types import settings_argument

Result = TypeVar("Result")
_NOT_SHOWN = {"", "()", "False", "None"}
"""Defaults that say nothing."""


def add_parameters(parser: argparse.ArgumentParser, function: Callable[..., object]) -> None:
    """Let ``parser`` read what ``function`` is called with."""
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        options = _options(parameter)
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            parser.add_argument(name, **options)
        else:
            required = parameter.default is parameter.empty
            parser.add_argument(f"--{name.replace('_', '-')}", required=required, **options)


def call(function: Callable[..., Result], arguments: argparse.Namespace) -> Result:
    """Call ``function`` with what such a parser has read."""
    in_place, named = [], {}
    for name, parameter in inspect.signature(function).parameters.items():
        value = getattr(arguments, name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            in_place += value
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            in_place.append(value)
        else:
            named[name] = value
    return function(*in_place, **named)


def _options(parameter: inspect.Parameter) -> dict[str, Any]:
    hint, *notes = get_args(parameter.annotation) if _is(parameter.annotation, Annotated) else [parameter.annotation]
    if may_be_none := type(None) in get_args(hint):
        (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
    default = None if parameter.default is parameter.empty else parameter.default
    options: dict[str, Any] = {"default": default}
    if parameter.kind is parameter.VAR_POSITIONAL:
        options["nargs"] = argparse.REMAINDER
    elif _is(hint, Sequence):
        (hint,) = get_args(hint)
        options["nargs"] = "*" if default == () else "+"
    told = "" if str(default) in _NOT_SHOWN else " (default: %(default)s)"
    if hint is bool:
        options["action"] = argparse.BooleanOptionalAction if may_be_none else "store_true"
    elif _is(hint, Literal):
        options["choices"] = get_args(hint)
    elif inspect.isclass(hint) and issubclass(hint, BaseModel):
        options["type"] = settings_argument(hint)
        told = " as JSON or a file" + (" (default: its defaults)" if default else "")
    elif hint is not str:
        options["type"] = hint
    for note in notes:
        options["help" if isinstance(note, str) else "choices" if isinstance(note, list) else "type"] = note
    return options | {"help": options.get("help", "") + told}


def _is(hint: object, form: object) -> bool:
    return get_origin(hint) is form
