"""Lists of words as text files beside the module that reads them: one entry a line, in order.

Lines that begin with ``#`` say what the entries are and where they come from. ``code_inputs`` takes the lists beside a
module for a part of it, so that a changed entry reruns what the module is used for.
"""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".txt"


def read_words(path: Path) -> tuple[str, ...]:
    """The entries of a list."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line.strip() and not line.startswith("#"))


def words_beside(module: str, name: str) -> tuple[str, ...]:
    """The entries of ``<name>.txt`` in the folder of ``module``, which is the caller's ``__file__``."""
    return read_words(Path(module).with_name(name + SUFFIX))


def any_of(module: str, name: str) -> str:
    """A regular expression for any entry of such a list, tried in order; the entries are regular expressions."""
    return f"(?:{'|'.join(words_beside(module, name))})"
