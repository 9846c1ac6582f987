"""The architectures a run may name: a module each, found by its name.

To add one called ``x``: settings and run here in ``x.py`` (``RUN``), the model in ``model/x.py`` (``MODEL``) and, where
transformers has such a model, ``model/convert_x.py`` (``FORM``). Nothing else names it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

_PACKAGE = "mamba_narrative"
RUN, MODEL, FORM = "RUN", "MODEL", "FORM"
_MODULES = {RUN: "config.architectures.{}", MODEL: "model.{}", FORM: "model.convert_{}"}
"""What an architecture declares, and where."""


def names() -> list[str]:
    """All architectures, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def declared(name: str, part: str) -> Any:
    """What an architecture declares: its ``RUN``, ``MODEL`` or ``FORM``; None where it has no such module."""
    return getattr(import_module(_module(name, part)), part) if declares(name, part) else None


def declares(name: str, part: str) -> bool:
    """Whether an architecture has such a module; nothing is imported. With a ``FORM`` transformers opens its models."""
    return _module(name, part) in modules_of(name)


def _module(name: str, part: str) -> str:
    return f"{_PACKAGE}.{_MODULES[part].format(name)}"


def modules_of(name: str) -> list[str]:
    """Full names of the modules that an architecture consists of; code that runs it imports them by its name alone."""
    root = Path(__file__).parents[2]
    modules = [module.format(name) for module in _MODULES.values()]
    return [f"{_PACKAGE}.{module}" for module in modules if (root / f"{module.replace('.', '/')}.py").is_file()]
