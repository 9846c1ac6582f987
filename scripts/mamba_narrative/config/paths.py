"""Paths of the configuration: one type for all, so that all mean the same.

``~`` and variables are expanded, relative paths begin where snakemake is called, and what Snakemake or a command line
would misread is refused.
"""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import AfterValidator, Field

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
_PLACEHOLDER = re.compile(r"[<>{}\n\t]")
_LONGEST_NAME_BYTES = 255


def expanded(path: str) -> str:
    """``path`` with ``~`` and variables replaced.

    Raises ValueError where a variable is unset or empty, or the result is no path that every part of the workflow
    can use: Snakemake takes ``<x>`` and ``{x}`` for placeholders of its own, commands take ``-x`` for an option.
    """
    found = os.path.expanduser(_VARIABLE.sub(_value_of_variable, path))  # noqa: PTH111
    if "$" in found:
        raise ValueError("'$' begins the name of a variable ($NAME or ${NAME}), and nothing else; rename the folder")
    if found.startswith("~"):
        raise ValueError("'~' begins the home folder of a user, and there is none of this name")
    if found != found.strip():
        raise ValueError("a path cannot begin or end with a blank, nor be blank; write it without")
    if placeholder := _PLACEHOLDER.search(found):
        raise ValueError(
            f"{placeholder[0]!r} cannot be part of a path here, since Snakemake takes <x> and {{x}} for placeholders; "
            "rename the folder, or name it through a link"
        )
    if found.startswith("-"):
        raise ValueError("commands take what begins with '-' for an option; rename the folder, or write it in full")
    if "://" in found:
        raise ValueError("is an address; expected a path of this machine")
    if any(len(os.fsencode(name)) > _LONGEST_NAME_BYTES for name in found.split("/")):
        raise ValueError(f"a name in a path has at most {_LONGEST_NAME_BYTES} bytes")
    return found


def _value_of_variable(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    if not (value := os.environ.get(name)):
        raise ValueError(f"the variable {name} is not set, or empty; set it, or write the folder itself")
    return value


def _expanded_unless_address(value: str) -> str:
    return value if value.startswith(("http://", "https://")) else expanded(value)


def _of_another_machine(path: str) -> str:
    if "\n" in path or path != path.strip():
        raise ValueError("a path cannot hold a line end, nor begin or end with a blank")
    if "$" in _VARIABLE.sub("", path):
        raise ValueError("'$' begins the name of a variable ($NAME or ${NAME}), and nothing else")
    if not path.startswith(("/", "$", "~")):
        raise ValueError("expected a whole path, which begins with '/', '~' or a variable")
    return path


ConfiguredPath = Annotated[str, AfterValidator(expanded), Field(json_schema_extra={"format": "path"})]
"""A path of this machine, or the name of something that may lie in one; expanded."""
PathOrAddress = Annotated[str, AfterValidator(_expanded_unless_address), Field(json_schema_extra={"format": "path"})]
"""A path of this machine, expanded, or a web address."""
PathOfAnotherMachine = Annotated[str, AfterValidator(_of_another_machine)]
"""A path whose variables are those of the machine that a job runs on."""
