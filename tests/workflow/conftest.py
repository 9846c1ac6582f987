"""A project folder in which the tiny experiment has been run once; tests get copies of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from workflow_project import Project, copy_sources


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment on the built-in sample, run to the report. Never changed by a test."""
    project = Project(tmp_path_factory.mktemp("finished"))
    copy_sources(project.folder)
    project.snakemake()
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, all times kept, for a test to change."""
    shutil.copytree(finished.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")
