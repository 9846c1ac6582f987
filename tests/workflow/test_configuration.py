"""Configurations as snakemake reads them: what is wrong is told with its place, and nothing is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from workflow_project import Project, copy_sources

pytestmark = pytest.mark.xdist_group("configuration")


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("configuration")
    copy_sources(folder)
    return folder


@pytest.fixture
def project(sources: Path) -> Project:
    """A project of which no test runs a job."""
    (sources / "mine.yaml").unlink(missing_ok=True)
    return Project(sources, "mine.yaml")


def refused(project: Project, settings: str) -> str:
    (project.folder / "mine.yaml").write_text(settings, encoding="utf-8")
    before = sorted(path.name for path in project.folder.iterdir())
    outcome = project.snakemake("--dry-run", check=False)
    assert outcome.code == 1
    assert "Traceback" not in outcome.text
    assert sorted({*before, ".snakemake"}) == sorted({path.name for path in project.folder.iterdir()} | {".snakemake"})
    return outcome.text


def test_a_key_that_is_there_twice_is_told_with_file_and_both_lines(project):
    text = refused(project, "training:\n  steps: 4\n  warmup_steps: 1\n  steps: 5\n")
    assert "mine.yaml:4: training.steps is there twice, first in line 2" in text


def test_a_number_that_yaml_takes_for_another_is_told(project):
    assert "mine.yaml:2: YAML reads 010 as 8" in refused(project, "splits:\n  seed: 010\n")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{results_dir: raw/results, corpus: {source: directory, directory: raw}}", "one inside the other"),
        ("results_dir: workflow", "lies in workflow, which is the project's own"),
        ("results_dir: 'r<x>'", "cannot be part of a path"),
        ("results_dir: $NOT_SET_ANYWHERE/x", "the variable NOT_SET_ANYWHERE is not set"),
    ],
)
def test_a_folder_that_is_not_for_results_alone_is_refused(project, settings, message):
    (project.folder / "raw").mkdir(exist_ok=True)
    assert message in refused(project, settings)


def test_home_and_variables_are_replaced_where_results_go(project, monkeypatch, tmp_path):
    monkeypatch.setenv("MY_SCRATCH", str(tmp_path))
    (project.folder / "mine.yaml").write_text("results_dir: $MY_SCRATCH/some results\n", encoding="utf-8")
    project.snakemake("--dry-run", "--quiet", "all")
    assert not list(project.folder.glob("*[$~]*"))
