"""Which source files a command runs, and one digest of their content.

A rule has the digest as a parameter: an edit of a module that its command uses reruns it, an edit elsewhere does not,
and neither do ``touch``, a fresh clone or another place of the project.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = "mamba_narrative"


def code_digest(scripts: Path, script: str, modules: Iterable[str] = (), data: Iterable[Path] = ()) -> str:
    """Hexadecimal SHA-256 over names and contents of ``code_inputs`` and of the files ``data`` that they read."""
    digest = hashlib.sha256()
    for path in [*code_inputs(scripts, script, modules), *sorted(data)]:
        digest.update(f"{os.path.relpath(path, scripts)}\n".encode())
        digest.update(_content(path))
    return digest.hexdigest()


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


def code_inputs(scripts: Path, script: str, modules: Iterable[str] = ()) -> list[Path]:
    """Files of ``scripts/<script>.py`` and of all package modules it imports, directly or not, sorted.

    Imports are found in the syntax tree, inside functions too. ``modules`` adds modules that are
    imported by name at run time (``mamba_narrative.reporting.figures.training_curve``).
    Raises FileNotFoundError where the script or a module does not exist.
    """
    entry = scripts / f"{script}.py"
    closure: set[Path] = {entry}
    pending = [entry]
    for module in modules:
        found = list(_files_of(scripts, module))
        if not found or found[-1].name == "__init__.py":
            raise FileNotFoundError(f"no module {module} below {scripts}")
        pending += [path for path in found if path not in closure]
        closure.update(found)
    while pending:
        for path in _imported_files(scripts, pending.pop()):
            if path not in closure:
                closure.add(path)
                pending.append(path)
    return sorted(closure)


@cache
def _imported_files(scripts: Path, source: Path) -> frozenset[Path]:
    tree = ast.parse(source.read_bytes(), filename=str(source))
    files: set[Path] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # An imported name may itself be a module: from package import module.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".", 1)[0] == PACKAGE:
                files.update(_files_of(scripts, name))
    return frozenset(files)


def _files_of(scripts: Path, module: str) -> Iterator[Path]:
    """The files that importing ``module`` runs: the ``__init__`` of each package above it, and its own."""
    path = scripts
    for part in module.split("."):
        path = path / part
        if (path / "__init__.py").is_file():
            yield path / "__init__.py"
        elif path.with_suffix(".py").is_file():
            yield path.with_suffix(".py")
            return
