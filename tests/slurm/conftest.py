"""A cluster for all tests of this folder, and projects that run on it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm.cluster import Cluster, why_not
from slurm.cluster_project import PROFILE, ClusterProject, make_watched, only_one_run
from workflow.workflow_project import copy_sources


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if reason := why_not():
        pytest.skip(reason)
    # Not below pytest's own folder, which is closed to others: munged insists on an open way to its socket.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    running = Cluster(folder)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def trained(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ClusterProject:
    """A project with tokens and a trained run, made here without SLURM or interruption. Never changed by a test."""
    project = ClusterProject(tmp_path_factory.mktemp("trained"), cluster)
    copy_sources(project.folder)
    project.configure(only_one_run)
    # As many threads as a job has on this machine, whatever SLURM counts here: the rule's own 8 or all cores. With
    # another number sums have another order, and weights other last bits.
    project.snakemake("train", "--cores", "all", "--max-threads", "8")
    return project


def untrained_copy(trained: ClusterProject, folder: Path) -> ClusterProject:
    shutil.copytree(trained.folder, folder, symlinks=True)
    shutil.rmtree(folder / "results" / "runs")
    return ClusterProject(folder, trained.cluster)


@pytest.fixture
def project(trained: ClusterProject, tmp_path: Path) -> Iterator[ClusterProject]:
    """A copy with tokens, to be trained."""
    project = untrained_copy(trained, tmp_path / "project")
    yield project
    project.stop()


@pytest.fixture
def watched(project: ClusterProject) -> ClusterProject:
    """A copy whose training waits in its middle until the test lets it go on, or until it is asked to stop."""
    make_watched(project)
    return project


@pytest.fixture(scope="session", autouse=True)
def interrupted(
    trained: ClusterProject, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ClusterProject, subprocess.Popen[bytes]]:
    """Training that meets its run-time limit of a minute three times; begun first, because it waits for minutes."""
    project = untrained_copy(trained, tmp_path_factory.mktemp("interrupted") / "project")
    make_watched(project, steps=(3, 5, 7))
    project.edit(
        PROFILE,
        lambda text: text.replace("runtime: 1440", "runtime: 1").replace("--signal=USR1@120", "--signal=USR1@5"),
    )
    return project, project.start("train")
