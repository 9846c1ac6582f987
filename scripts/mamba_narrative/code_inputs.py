"""Which source files a command runs, and one digest of what they mean.

A rule has the digest as a parameter: an edit of a module that its command uses reruns it, an edit elsewhere does not,
and neither do another comment, docstring or text of help, ``touch``, a fresh clone or another place of the project.
Word lists that lie beside a module (see ``word_lists``) are part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from mamba_narrative.code_meaning import imported_names, meanings
from mamba_narrative.io import canonical_json, sha256_text, write_text
from mamba_narrative.word_lists import SUFFIX, read_words

PACKAGE = "mamba_narrative"
_MOST_REMEMBERED = 5_000


class Code:
    """The sources below ``scripts``. Each is read once in the life of an object; what it means is remembered.

    ``cache`` is a file with what earlier calls found, by content; it may be deleted at any time. None: nowhere.
    """

    def __init__(self, scripts: Path, cache: Path | None = None) -> None:
        self.scripts, self._cache = scripts, cache
        self._of_path: dict[Path, dict[str, Any]] = {}
        self._lists: dict[Path, dict[Path, str]] = {}
        self._is_new = False

    def digest(self, script: str, modules: Iterable[str] = (), data: Iterable[Path] = ()) -> str:
        """Hexadecimal SHA-256 of ``meaning``."""
        return sha256_text(canonical_json(self.meaning(script, modules, data)))

    def meaning(self, script: str, modules: Iterable[str] = (), data: Iterable[Path] = ()) -> dict[str, str]:
        """A digest of each definition that the command can reach, as ``path`` or ``path:name``, and of each word list.

        ``data`` are other files that it reads, of which the bytes count.
        """
        found = {}
        files = self.files(script, modules)
        for path in files:
            name = os.path.relpath(path, self.scripts)
            parts = self._read(path)["meanings"]
            found |= {f"{name}:{part}" if part else name: meaning[:16] for part, meaning in sorted(parts.items())}
        for folder in {path.parent for path in files}:
            found |= {os.path.relpath(path, self.scripts): words[:16] for path, words in self._lists_in(folder).items()}
        for path in sorted(data):
            found[os.path.relpath(path, self.scripts)] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return found

    def files(self, script: str, modules: Iterable[str] = ()) -> list[Path]:
        """``<script>.py`` and all package modules it imports, directly or not, sorted.

        Imports are found in the syntax tree, inside functions too. ``modules`` adds modules that are
        imported by name at run time (``mamba_narrative.reporting.figures.training_curve``).
        Raises FileNotFoundError where the script or a module does not exist, SyntaxError where one is no Python.
        """
        entry = self.scripts / f"{script}.py"
        closure: set[Path] = {entry}
        pending = [entry]
        for module in modules:
            found = list(self._files_of(module))
            if not found or found[-1].name == "__init__.py":
                raise FileNotFoundError(f"no module {module} below {self.scripts}")
            pending += [path for path in found if path not in closure]
            closure.update(found)
        while pending:
            for name in self._read(pending.pop())["imports"]:
                new = [path for path in self._files_of(name) if path not in closure]
                closure.update(new)
                pending += new
        return sorted(closure)

    def _files_of(self, module: str) -> Iterator[Path]:
        """The files that importing ``module`` runs: the ``__init__`` of each package above it, and its own."""
        path = self.scripts
        for part in module.split("."):
            path = path / part
            if (path / "__init__.py").is_file():
                yield path / "__init__.py"
            elif path.with_suffix(".py").is_file():
                yield path.with_suffix(".py")
                return

    def _lists_in(self, folder: Path) -> dict[Path, str]:
        """A digest of the entries of each word list; its comments count for nothing."""
        if folder not in self._lists:
            paths = folder.glob(f"*{SUFFIX}")
            self._lists[folder] = {path: sha256_text(canonical_json(read_words(path))) for path in paths}
        return self._lists[folder]

    def _read(self, path: Path) -> dict[str, Any]:
        if path not in self._of_path:
            source = path.read_bytes()
            key = hashlib.sha256(source).hexdigest()
            if key not in self._remembered:
                try:
                    imports = sorted(name for name in imported_names(source) if name.split(".", 1)[0] == PACKAGE)
                    self._remembered[key] = {"meanings": meanings(source), "imports": imports}
                except SyntaxError as error:
                    error.filename = str(path)
                    raise
                self._is_new = True
            self._of_path[path] = self._remembered[key]
        return self._of_path[path]

    @cached_property
    def _remembered(self) -> dict[str, dict[str, Any]]:
        try:
            saved = json.loads(self._cache.read_text(encoding="utf-8")) if self._cache else {}
            known = saved["format"] == _FORMAT and len(saved["sources"]) <= _MOST_REMEMBERED
            return saved["sources"] if known else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def save(self) -> None:
        """Write the cache if there is something new."""
        if self._cache is None or not self._is_new:
            return
        try:
            write_text(self._cache, json.dumps({"format": _FORMAT, "sources": self._remembered}))
            self._is_new = False
        except OSError:
            pass  # A folder that cannot be written to costs time at the next call, nothing else.


_FORMAT = hashlib.sha256((Path(__file__).with_name("code_meaning.py")).read_bytes()).hexdigest()
"""What was found by other code is found anew."""
