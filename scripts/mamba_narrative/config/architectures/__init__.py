"""The architectures a run may name: a module each, found by its name.

To add one called ``x``: settings and run here in ``x.py`` (``RUN``), the model in ``model/x.py`` (``MODEL``) and, where
transformers has such a model, ``model/convert_x.py`` (``FORM``). Nothing else names it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

_PACKAGE = "mamba_narrative"
RUN, MODEL, FORM = "config.architectures.{}", "model.{}", "model.convert_{}"
"""The modules of an architecture, and what each declares under this name."""


def names() -> list[str]:
    """All architectures, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def declared(name: str, part: str) -> Any:
    """What an architecture declares: its ``RUN``, ``MODEL`` or ``FORM``; None where it has no such module."""
    module = part.format(name)
    if f"{_PACKAGE}.{module}" not in modules_of(name):
        return None
    return getattr(import_module(f"{_PACKAGE}.{module}"), {RUN: "RUN", MODEL: "MODEL", FORM: "FORM"}[part])


def modules_of(name: str) -> list[str]:
    """Full names of the modules that an architecture consists of; code that runs it imports them by its name alone."""
    root = Path(__file__).parents[2]
    parts = [part.format(name) for part in (RUN, MODEL, FORM)]
    return [f"{_PACKAGE}.{part}" for part in parts if (root / f"{part.replace('.', '/')}.py").is_file()]
