"""What a Python source means: digests of its syntax without prose and formatting.

Docstrings, comments, layout and the texts of ``--help`` (in ``Annotated`` too) count for nothing. The digests are the
same under every Python from 3.11 on, so that results made with one are up to date with another: ``ast.dump`` differs
between versions.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache

_HELP_TEXTS = {"help", "description", "epilog", "metavar"}
"""Keywords of argparse's functions."""
_SAYS_NOTHING = {"ctx", "kind", "type_comment", "type_ignores"}
_parsed = lru_cache(maxsize=1)(ast.parse)  # both questions about a source are asked one after the other
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def meanings(source: bytes) -> dict[str, str]:
    """SHA-256 of each definition at the top of a module by its name, and of everything else as ``""``.

    A name that is bound twice counts once, with both. Raises SyntaxError.
    """
    parts: dict[str, list[str]] = {"": []}
    for statement in _parsed(source).body:
        if not _is_prose(statement):
            parts.setdefault(_name_of(statement), []).append("".join(_canonical(statement)))
    return {name: hashlib.sha256("\n".join(texts).encode("utf-8")).hexdigest() for name, texts in parts.items()}


def imported_names(source: bytes) -> set[str]:
    """Dotted names that the module imports anywhere, inside of functions too: modules, and perhaps what is in them."""
    names = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return names


def _name_of(statement: ast.stmt) -> str:
    if isinstance(statement, _DEFINITIONS):
        return statement.name
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _is_prose(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _canonical(value: object) -> Iterator[str]:
    if isinstance(value, ast.Constant):
        yield f"{type(value.value).__name__} {value.value!r}"
    elif isinstance(value, ast.AST):
        yield f"{type(value).__name__}("
        for name, field in sorted(ast.iter_fields(value)):
            if name in _SAYS_NOTHING or field is None or field == []:
                continue
            yield f"{name}="
            yield from _canonical(_telling(value, name, field))
        yield ")"
    elif isinstance(value, list):
        yield "["
        for item in value:
            if not _is_prose(item):
                yield from _canonical(item)
                yield ","
        yield "]"
    else:
        yield repr(value)


def _telling(node: ast.AST, name: str, field: object) -> object:
    """A field of a node without texts of help, and with neighbouring texts of an f-string joined."""
    if isinstance(node, ast.Call) and name == "keywords":
        return [keyword for keyword in node.keywords if keyword.arg not in _HELP_TEXTS]
    match node:
        case ast.Subscript(ast.Name("Annotated"), ast.Tuple([kind, *notes])) if name == "slice":
            return [kind, *(note for note in notes if not _is_text(note))]
    if isinstance(node, ast.JoinedStr) and name == "values":
        joined: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.Constant) and part.value == "":  # Python 3.12 alone ends a format with it
                continue
            before = joined[-1] if joined else None
            if isinstance(part, ast.Constant) and isinstance(before, ast.Constant):
                joined[-1] = ast.Constant(f"{before.value}{part.value}")
            else:
                joined.append(part)
        return joined
    return field
