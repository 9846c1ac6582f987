"""Snakemake's record of how results were made, which lies with them.

Snakemake works inside the results folder, so its record (``.snakemake/metadata``) names every output relative to that
folder and moves with it, however the folder is spelled and from wherever the workflow is called. An output that has no
entry there would be taken as it is.

This is the one module that knows the names of those entries. They are Snakemake's own affair and may change:
``tests/unit/test_rerun_record.py`` reads what the pinned version writes. Where another version has other names, every
output looks unrecorded, which ends the call; none is taken unseen.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

SNAKEMAKE_FOLDER = ".snakemake"
KNOWN_VERSION = "9.27.1"
"""The version of Snakemake in requirements.txt."""


def another_version(version: str) -> str:
    """What to add to the complaint that results have no record; nothing where ``version`` is the known one."""
    if version == KNOWN_VERSION:
        return ""
    return (
        f". If they were made here: this is Snakemake {version}, which may keep its record in another way than "
        f"{KNOWN_VERSION}; install that (requirements.txt)"
    )


def unrecorded_outputs(results: Path, is_output: Callable[[str], bool]) -> list[str]:
    """Files and folders below ``results`` that are outputs but whose making was not recorded, sorted.

    ``is_output`` tells whether a relative path is an output of a rule. Outputs of jobs that were killed have no record
    either: Snakemake knows them as incomplete and makes them again.
    """
    if not results.is_dir():
        return []
    known = {
        os.path.normpath(path)
        for kind in ("metadata", "incomplete")
        for path in _recorded(results / SNAKEMAKE_FOLDER / kind)
    }
    return sorted(path for path in _paths_below(results, "", known) if is_output(path))


def _recorded(folder: Path) -> Iterator[str]:
    """Outputs that have a file in ``folder``, whose name is URL-safe base64, cut into folders that begin with ``@``."""
    for directory, _, names in os.walk(folder):
        parts = [part.removeprefix("@") for part in Path(directory).relative_to(folder).parts]
        for name in names:
            try:
                yield urlsafe_b64decode("".join([*parts, name])).decode("utf-8")
            except ValueError:
                continue


def _paths_below(root: Path, relative: str, known: set[str]) -> Iterator[str]:
    """All files and folders; folders that are recorded outputs themselves are not opened."""
    with os.scandir(root / relative) as entries:
        for entry in entries:
            path = f"{relative}/{entry.name}" if relative else entry.name
            if entry.name.startswith(".") or path in known:
                continue
            yield path
            if entry.is_dir(follow_symlinks=False):
                yield from _paths_below(root, path, known)
