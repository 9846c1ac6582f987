"""What is published of a finished experiment holds no text of its books."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from workflow_project import REPOSITORY

pytestmark = pytest.mark.xdist_group("workflow")

RUN_OF_CHARACTERS = 60
"""Longer than titles, definitions and what a model of a few steps could write by chance."""


def test_no_text_of_a_book_is_published(finished, tmp_path):
    results = finished.folder / "results"
    runs = sorted(path.parent.name for path in (results / "runs").glob("*/train.csv"))
    command = ["publish_baseline.py", "--results", results, "--runs", *runs, "--output", tmp_path / "baseline"]
    subprocess.run([sys.executable, REPOSITORY / "scripts" / command[0], *map(str, command[1:])], check=True)
    of_books = set().union(*(pieces(path) for path in (results / "stripped").rglob("*.txt")))
    for path in (tmp_path / "baseline").rglob("*"):
        if path.suffix in {".tsv", ".csv", ".md", ".json", ".svg"}:
            quoted = pieces(path) & of_books
            assert not quoted, f"{path.name}: {min(quoted)}"


def pieces(path: Path) -> set[str]:
    """All runs of so many characters; a line break is a space."""
    text = " ".join(path.read_text("utf-8").replace("\\n", "\n").split())
    return {text[start : start + RUN_OF_CHARACTERS] for start in range(len(text) - RUN_OF_CHARACTERS)}
