"""Where results may be written: never over the books, the project, or a folder that holds more than results."""

from __future__ import annotations

import os
from pathlib import Path

from mamba_narrative.errors import UserError

PROJECT_FOLDERS = frozenset({"scripts", "workflow", "tests", "envs"})
"""Folders of the project itself; those that begin with a dot are its own, too."""


def check_folders(results_dir: str, corpus_directory: str | None, start: Path, project: Path) -> None:
    """Raise UserError where ``results_dir`` is no folder for results alone. Links are followed.

    Relative paths begin at ``start``; ``project`` is the folder of the Snakefile.
    """
    # As the workflow takes it, which looks at no link for "..".
    results = _resolved("results_dir", os.path.normpath(results_dir), start)
    _is_a_folder_of_its_own(results_dir, results, start.resolve(), project.resolve())
    if corpus_directory is not None:
        books = _resolved("corpus.directory", corpus_directory, start)
        if _within(results, books) or _within(books, results):
            raise UserError(
                f"results_dir ({results}) and corpus.directory ({books}) lie one inside the other: results would be "
                "read as books, and books removed with results; choose two folders beside each other"
            )


def _is_a_folder_of_its_own(results_dir: str, results: Path, start: Path, project: Path) -> None:
    for folder, whose in (
        (Path.home().resolve(), "your home folder"),
        (start, "the folder where snakemake is called"),
        (project, "the project"),
    ):
        if _within(folder, results):
            raise UserError(
                f"results_dir: {results_dir!r} is {whose}, or holds it; results need a folder of their own, such as "
                "'results/my-experiment'"
            )
    if _within(results, project):
        name = results.relative_to(project).parts[0]
        if name.startswith(".") or name.casefold() in PROJECT_FOLDERS:
            raise UserError(f"results_dir: {results_dir!r} lies in {name}, which is the project's own; choose another")
    for path in (results, *results.parents):
        if path.is_file():
            raise UserError(f"results_dir: {path} is a file; expected a folder, or a name that is free")


def _resolved(key: str, path: str, start: Path) -> Path:
    try:
        return (start / path).resolve()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise UserError(f"{key}: {path} cannot be followed ({error})") from None


def _within(inner: Path, outer: Path) -> bool:
    return inner == outer or outer in inner.parents
