"""The whole workflow through SLURM, and what is asked of it for each job."""

from __future__ import annotations

import pytest

from slurm.cluster import NODES
from slurm.cluster_project import PROFILE, ClusterProject, only_one_run
from workflow.workflow_project import copy_sources

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.xdist_group("slurm")]


@pytest.fixture(scope="module")
def whole(cluster, tmp_path_factory) -> ClusterProject:
    """The tiny experiment from raw books to the report, every job through SLURM."""
    project = ClusterProject(tmp_path_factory.mktemp("whole"), cluster)
    copy_sources(project.folder)
    project.configure(only_one_run)
    project.edit(PROFILE, lambda text: text.replace("  shards: 25", "  shards: 2"))
    project.finish(project.start(), seconds=900)
    return project


def test_the_sample_goes_the_whole_way_on_both_nodes(whole):
    assert (whole.folder / "results" / "report" / "index.html").is_file()
    assert {job["nodes"] for job in whole.jobs()} == set(NODES)


def test_nothing_is_computed_twice(whole):
    assert {job["state"] for job in whole.jobs()} == {"COMPLETED"}
    submitted = [job["comment"] for job in whole.jobs() if not job["comment"].startswith("rule_shards")]
    assert len(submitted) == len(set(submitted))
    again = whole.snakemake("--dry-run")
    assert again.jobs == set()
    assert "Nothing to be done" in again.text


def test_jobs_land_where_the_profile_says(whole):
    partitions = {job["comment"].removeprefix("rule_").split("_wildcards")[0]: job["partition"] for job in whole.jobs()}
    assert {rule for rule, partition in partitions.items() if partition == "gpu"} == {
        "train_run",
        "evaluate_likelihood",
        "evaluate_context",
        "evaluate_generation",
        "evaluate_structure",
        "evaluate_words",
        "verify_environment",
    }


def test_a_gpu_is_given_to_the_check_of_the_machine_alone_when_all_runs_are_on_the_cpu(whole):
    with_gpus = {
        job["comment"] for job in whole.jobs() if "TresPerJob=gres:gpu:1" in whole.cluster.describe(job["id"])
    }  # fmt: skip
    assert with_gpus == {"rule_verify_environment"}


def test_shards_and_short_chains_share_jobs_and_targets_stay_here(whole):
    comments = [job["comment"] for job in whole.jobs()]
    shards = [comment for comment in comments if comment.startswith("rule_shards")]
    assert len(shards) == 2
    assert all("strip_books" in comment and "encode_books" in comment for comment in shards)
    assert sum("find_duplicates" in comment and "measure_leaks" in comment for comment in comments) == 1
    assert not [comment for comment in comments if comment in ("rule_all", "rule_train", "rule_report")]


def make_fail(project: ClusterProject, script: str, always: bool) -> None:
    """Let a script fail: at its first attempt, or always."""
    marker = f'Path("{script} failed")'
    condition = "True" if always else f"not {marker}.exists()"
    starts = 'if __name__ == "__main__":'
    failing = f'if {condition}:\n    {marker}.touch()\n    raise SystemExit("made to fail")\n\n{starts}'
    project.edit(f"scripts/{script}.py", lambda text: text.replace(starts, failing))


def test_what_fails_is_submitted_again_with_more_memory_and_time_groups_too(project):
    make_fail(project, "split_books", always=False)
    make_fail(project, "assemble_tokens", always=False)
    project.finish(project.start("tokens"))
    assert [(job["memory"], job["limit"], job["state"]) for job in project.jobs()] == [
        ("8000M", "4:00:00", "FAILED"),
        ("16000M", "8:00:00", "COMPLETED"),
        ("4000M", "1:00:00", "FAILED"),
        ("8000M", "2:00:00", "COMPLETED"),
    ]


def test_what_fails_for_good_ends_with_the_place_of_its_log(project):
    make_fail(project, "assemble_tokens", always=True)
    project.edit(PROFILE, lambda text: text.replace("\nretries: 3", "\nretries: 1"))
    outcome = project.end(project.start("tokens"))
    assert outcome.code != 0
    assert "logs/tokens/assemble_tokens.log" in outcome.text
    assert [job["state"] for job in project.jobs()] == ["FAILED", "FAILED"]
