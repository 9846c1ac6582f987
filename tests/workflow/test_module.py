"""The workflow inside another one, and in the layout of the workflow catalogue."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config
from workflow_project import REPOSITORY, Project

from mamba_narrative.config.experiment import resolve_experiment
from mamba_narrative.io import canonical_json, sha256_text

TINY = REPOSITORY / "tests" / "data" / "tiny.yaml"
SHARED = pytest.mark.xdist_group("module")
"""Of tests that share one run of the outer workflow."""
STRIPPED = {f"narrative_strip_books:{shard}" for shard in ("000", "001", "002")}


def shown(project: Path) -> str:
    """The outer workflow that the README shows, with the place of this project in it."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "README.md").read_text("utf-8"), re.M | re.S)
    (text,) = (block for block in blocks if "module narrative" in block)
    return text.replace("path/to/mamba-narrative", str(project))


def outer_workflow(folder: Path, project: Path = REPOSITORY, **settings: object) -> Project:
    """A folder with the README's outer workflow, which runs the tiny experiment."""
    tiny = yaml.safe_load(TINY.read_text("utf-8")) | settings
    # The second key is the outer workflow's own; 010 in it is none of our business.
    (folder / "settings.yaml").write_text(yaml.safe_dump({"narrative": tiny}) + "own: {number: 010}\n")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    (folder / "heading.txt").write_text("Lines of the audits\n")
    (folder / "Snakefile").write_text(shown(project))
    return Project(folder, "settings.yaml")


@pytest.fixture(scope="module")
def outer(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The README's outer workflow, run to its own target."""
    project = outer_workflow(tmp_path_factory.mktemp("outer"))
    assert project.run() == {*STRIPPED, "list_audits"}
    return project


@SHARED
def test_an_outer_rule_reads_our_files_and_writes_beside_them(outer):
    audits = (outer.folder / "results" / "audits.txt").read_text(encoding="utf-8")
    assert audits.startswith("Lines of the audits\n")
    assert "stripped/002.audit.jsonl" in audits
    assert sorted(path.name for path in outer.folder.iterdir() if path.name[0] != ".") == [
        "Snakefile",
        "heading.txt",
        "results",
        "settings.yaml",
        "tiny.yaml",
    ]


@pytest.fixture(scope="module")
def planned(outer: Project) -> set[str]:
    """What is left to do for everything, under the names of this project."""
    return {job.removeprefix("narrative_") for job in outer.plan("narrative_all")} - {"all"}


@SHARED
def test_the_root_snakefile_has_the_same_jobs_left_to_do(outer, planned):
    assert {"write_report", "train_run:tiny-a"} <= planned
    assert not {job for job in planned if job.startswith("strip_books")}
    assert Project(outer.folder, "tiny.yaml").plan("--snakefile", str(REPOSITORY / "Snakefile")) == planned


@SHARED
def test_so_has_the_snakefile_of_the_catalogue_called_from_elsewhere(outer, planned, tmp_path):
    elsewhere = Project(tmp_path, str(outer.folder / "tiny.yaml"))
    snakefile = str(REPOSITORY / "workflow" / "Snakefile")
    assert elsewhere.plan("--snakefile", snakefile, "--directory", str(outer.folder)) == planned


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('config["narrative"]', 'config["narrative"]\n    prefix: "mine"', "takes no `prefix:`"),
        pytest.param('config["narrative"]', '"my.yaml"', "expected settings by name", marks=pytest.mark.slow),
        pytest.param('config["narrative"]', '{"corpsu": 1}', "corpsu: unknown key", marks=pytest.mark.slow),
        pytest.param('configfile: "set', 'workdir: "w"\nconfigfile: "../set', "no `workdir:`", marks=pytest.mark.slow),
    ],
)
def test_what_a_module_of_this_workflow_cannot_be_is_refused(tmp_path, before, after, message):
    outer = outer_workflow(tmp_path)
    outer.edit("Snakefile", lambda text: text.replace(before, after))
    outcome = outer.snakemake("--dry-run", check=False)
    assert outcome.code == 1
    assert message in outcome.text
    assert "Traceback" not in outcome.text
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_second_experiment_in_one_call_is_refused(tmp_path):
    outer = outer_workflow(tmp_path)
    second = shown(REPOSITORY).split("rule all")[0].replace("narrative", "second")
    second = second.replace("mamba-second", "mamba-narrative").replace('config["second"]', '{"results_dir": "second"}')
    outer.edit("Snakefile", lambda text: text + second)
    outcome = outer.snakemake("--dry-run", check=False)
    assert "for another experiment call again" in outcome.text


@pytest.mark.slow
def test_rules_can_be_changed_one_by_one_and_keep_their_names(tmp_path):
    outer = outer_workflow(tmp_path)
    changed = "use rule strip_books from narrative as strip_books with:\n    threads: 2\n"
    outer.edit("Snakefile", lambda text: text.replace("as narrative_*", f"exclude all as *\n{changed}"))
    plan = outer.snakemake("--dry-run", "tokens", "--max-threads", "2")
    assert "assemble_tokens" in plan.jobs
    assert re.search(r"^rule strip_books:(?:\n +.*)*\n +threads: 2$", plan.text, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.xdist_group("workflow")
def test_nothing_is_left_to_do_after_a_run_of_the_root_snakefile(finished, tmp_path):
    assert finished.plan("--snakefile", "workflow/Snakefile") == set()
    outer = outer_workflow(tmp_path, finished.folder, results_dir=str(finished.folder / "results"))
    assert outer.plan("narrative_all") == set()


@pytest.mark.slow
def test_a_job_of_a_cluster_finds_the_module_from_within_the_results(tmp_path):
    outer = outer_workflow(tmp_path)
    outer.run("--until", "narrative_strip_books")
    results = tmp_path / "results"
    before = (results / "stripped" / "000.sha256").read_bytes()
    (results / "stripped" / "000.sha256").unlink()
    settings = yaml.safe_load((REPOSITORY / "config.yaml").read_text("utf-8"))
    update_config(settings, yaml.safe_load(TINY.read_text("utf-8")))
    meant = sha256_text(canonical_json(resolve_experiment(settings).model_dump(mode="json")))
    job = [sys.executable, "-m", "snakemake", "--snakefile", tmp_path / "Snakefile", "--mode", "remote", "--force"]
    job += ["--configfiles", tmp_path / "settings.yaml", "--nolock", "--cores", "1", "--no-hooks"]
    job += ["--target-jobs", "narrative_strip_books:shard=000", "--allowed-rules", "narrative_strip_books"]
    environment = os.environ | {"NARRATIVE_ORIGIN": str(tmp_path), "NARRATIVE_SETTINGS": meant}
    done = subprocess.run(job, cwd=results, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (results / "stripped" / "000.sha256").read_bytes() == before
