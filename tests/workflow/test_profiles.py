"""What the profiles ask for, before any job runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config
from workflow_project import REPOSITORY, Outcome, Project, copy_sources

from mamba_narrative.config.experiment import resolve_experiment
from mamba_narrative.io import canonical_json, sha256_text

SLURM = yaml.safe_load((REPOSITORY / "workflow" / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def project(tmp_path) -> Project:
    project = Project(tmp_path)
    copy_sources(project.folder)
    return project


def configure(project: Project, **training: Any) -> None:
    settings = yaml.safe_load((project.folder / "tiny.yaml").read_text(encoding="utf-8"))
    settings["training"] |= training
    settings["corpus"]["shards"] = 60
    (project.folder / "tiny.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def plan_on_slurm(project: Project) -> Outcome:
    return project.snakemake("--workflow-profile", "workflow/profiles/slurm", "--dry-run", "--quiet", "progress")


def resources(plan: Outcome, rule: str) -> dict[str, str]:
    """The resources of the first job of a rule."""
    found = re.search(rf"^ *rule {rule}:$(?:\n +.*)*?\n +resources: (.*)$", plan.text, re.MULTILINE)
    assert found, plan.text
    return dict(entry.split("=", 1) for entry in found[1].split(", "))


def test_the_plan_shows_what_slurm_will_be_asked_for(project):
    configure(project, device="auto", processes=4, nodes=2, batch_size=4)
    plan = plan_on_slurm(project)
    training = resources(plan, "train_run")
    asked = {"slurm_partition": "gpu", "runtime": "1440", "mem_mb": "16000", "gpu": "4", "nodes": "2"}
    asked |= {"mpi": "srun", "tasks": "2", "tasks_per_gpu": "0", "slurm_extra": "--signal=USR1@120"}
    assert asked.items() <= training.items()
    assert {"slurm_partition": "cpu", "mem_mb": "2000"}.items() <= resources(plan, "strip_books").items()


def test_a_run_on_one_node_is_no_job_of_several_tasks(project):
    configure(project, device="auto", processes=2)
    training = resources(plan_on_slurm(project), "train_run")
    assert (training["gpu"], training["nodes"]) == ("2", "1")
    assert not training.keys() & {"mpi", "tasks"}


def test_shards_share_jobs_of_at_most_the_given_number(project):
    configure(project)
    project.edit("workflow/profiles/slurm/config.yaml", lambda text: text.replace("  shards: 25", "  shards: 5"))
    groups: dict[str, set[str]] = {}
    for part in plan_on_slurm(project).text.split("Group job ")[1:]:
        name = part.split()[0]
        if name.startswith("shards"):
            groups.setdefault(name, set()).update(re.findall(r"wildcards: shard=(\d+)", part))
    assert len(groups) > 3
    assert all(len({int(shard) // 5 for shard in shards}) == 1 for shards in groups.values())


def test_the_profile_names_rules_that_exist(project):
    rules = set(project.snakemake("--list-rules").text.split())
    assert {*SLURM["set-resources"], *SLURM["groups"], *SLURM["preemptible-rules"]} <= rules


def test_commands_that_use_a_gpu_hold_as_many_as_the_rule_asks_for(project):
    configure(project, device="auto", processes=2)
    plan = project.snakemake("--dry-run", "--printshellcmds", "train", "evaluation/tiny-a/likelihood.json")
    commands = [line.strip() for line in plan.text.splitlines() if "lease_gpus.py" in line]
    assert [
        re.findall(r'--count (\d+) python "\$NARRATIVE_SCRIPTS"/(\w+)', command)[0] for command in sorted(set(commands))
    ] == [
        ("0", "evaluate_likelihood"),
        ("2", "train_run"),
        ("2", "train_run"),
    ]


def test_where_tokens_are_staged_is_left_to_the_machine_that_trains(project):
    configure(project, staging_directory="/scratch/$USER")
    plan = project.snakemake("--dry-run", "--printshellcmds", "train")
    assert "--staging-directory='/scratch/$USER'" in plan.text


def test_a_job_of_a_cluster_finds_what_the_call_meant_from_within_the_results(project):
    """Executors start snakemake once more, in the working directory of the workflow: the results folder."""
    settings = yaml.safe_load((project.folder / "tiny.yaml").read_text(encoding="utf-8"))
    settings["corpus"] |= {"source": "directory", "directory": "raw", "catalogue": None}
    (project.folder / "tiny.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    shutil.copytree(project.folder / "workflow" / "sample" / "raw", project.folder / "raw")
    project.run("--until", "strip_books")
    results = project.folder / "results"
    before = (results / "stripped" / "000.sha256").read_bytes()
    (results / "stripped" / "000.sha256").unlink()
    job = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        project.folder / "Snakefile",
        "--mode",
        "remote",
        "--force",
    ]
    job += ["--configfiles", project.folder / "tiny.yaml", "--nolock", "--cores", "1", "--no-hooks"]
    job += ["--target-jobs", "strip_books:shard=000", "--allowed-rules", "strip_books"]

    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NARRATIVE_")}
        return subprocess.run(job, cwd=results, env=inherited | environment, capture_output=True, text=True)

    defaults = yaml.safe_load((project.folder / "config.yaml").read_text(encoding="utf-8"))
    update_config(defaults, settings)
    meant = sha256_text(canonical_json(resolve_experiment(defaults).model_dump(mode="json")))
    assert "must get the environment of the call" in start().stderr
    assert "other settings" in start(NARRATIVE_ORIGIN=str(project.folder), NARRATIVE_SETTINGS="0").stderr
    done = start(NARRATIVE_ORIGIN=str(project.folder), NARRATIVE_SETTINGS=meant)
    assert done.returncode == 0, done.stderr
    assert (results / "stripped" / "000.sha256").read_bytes() == before
    assert not (results / "results").exists()
