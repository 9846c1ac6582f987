"""Only what is outdated reruns, by content."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest
from changes import CHANGES, LIBRARY, apply
from workflow_project import Project, copy_sources

from mamba_narrative.corpus.raw.inventory import shard_of
from mamba_narrative.io import read_table, sha256_file

pytestmark = pytest.mark.xdist_group("workflow")

PER_SHARD = ("strip_books", "select_books", "sketch_books", "encode_books")
WHOLE_CORPUS = {"find_duplicates", "split_books", "measure_leaks", "assemble_tokens", "join_books"}


def book(project: Project, decision: str) -> tuple[str, str]:
    """Id and raw file of the first plain-text book with this decision."""
    raw = project.folder / "workflow" / "sample" / "raw"
    for row in read_table(project.folder / "results" / "corpus" / "books.tsv"):
        for path in sorted(raw.rglob("*.txt")):
            if row["decision"] == decision and path.stem in (row["book_id"], f"{row['book_id']}-0"):
                return row["book_id"], str(path.relative_to(project.folder))
    raise AssertionError(f"the sample has no plain-text book with decision {decision}")


def in_the_story(text: str) -> str:
    """The text with a word changed in its middle, far from header and licence."""
    middle = len(text) // 2
    return text[:middle] + text[middle:].replace(" the ", " that ", 1)


def test_nothing_is_left_to_do_after_a_finished_run(finished):
    assert finished.plan() == set()


def test_nothing_is_to_do_after_touching_every_source_file(project):
    later = time.time() + 100
    for folder in ("scripts", "workflow"):
        for path in (project.folder / folder).rglob("*"):
            os.utime(path, (later, later))
    os.utime(project.folder / "Snakefile", (later, later))
    assert project.plan() == set()


def test_nothing_is_to_do_in_a_fresh_clone_with_the_results_copied_in(finished, tmp_path):
    clone = Project(tmp_path / "clone")
    clone.folder.mkdir()
    # All files get new times, the results before the sources and in no particular order.
    shutil.copytree(finished.folder / "results", clone.folder / "results", copy_function=shutil.copyfile)
    copy_sources(clone.folder)
    for path in clone.folder.rglob("*.py"):
        path.touch()
    assert not (clone.folder / ".snakemake").exists()
    assert clone.plan() == set()


def test_a_changed_book_redoes_its_shard_and_what_follows_and_no_other_shard(project):
    book_id, path = book(project, "keep")
    project.edit(path, in_the_story)
    jobs = project.run("corpus", "tokens")
    shard = shard_of(book_id, 3)
    assert {job for job in jobs if job.startswith(PER_SHARD)} == {f"{rule}:{shard}" for rule in PER_SHARD}
    assert jobs >= WHOLE_CORPUS
    assert project.plan() >= {"train_run:tiny-a", "train_run:tiny-b", "evaluate_ngram"}


def test_a_change_in_a_header_ends_where_the_text_is_the_same(project):
    _, path = book(project, "keep")
    project.edit(path, lambda text: "Another first line of the header, about Project Gutenberg.\n" + text)
    jobs = {job.split(":")[0] for job in project.run()}
    assert "strip_books" in jobs
    assert not {job for job in jobs if job.startswith(("train_run", "evaluate_", "join_books"))}
    assert project.plan() == set()


def test_a_changed_book_that_selection_drops_retrains_nothing(project):
    _, path = book(project, "drop")
    project.edit(path, in_the_story)
    jobs = project.run()
    assert "assemble_tokens" in jobs
    assert not {job for job in jobs if job.startswith(("train_run", "evaluate_"))}
    assert project.plan() == set()


def test_a_removed_book_leaves_no_stale_text(project):
    book_id, path = book(project, "drop")
    text = project.folder / "results" / "stripped" / shard_of(book_id, 3) / f"{book_id}.txt"
    assert text.exists()
    (project.folder / path).unlink()
    project.run("corpus")
    assert not text.exists()
    assert book_id not in {row["book_id"] for row in read_table(project.folder / "results" / "corpus" / "books.tsv")}


def test_changed_plot_code_redraws_that_plot(project):
    module = "scripts/mamba_narrative/reporting/figures/training_curve.py"
    project.edit(module, lambda text: text + "\n_ADDED = 1\n")
    assert project.plan() == {"draw_training_curve", "write_report"}


def test_a_changed_evaluation_table_redraws_its_figures_only(project):
    project.edit("results/evaluation/tiny-a/position.csv", lambda text: text.replace("0", "1"))
    assert project.plan() == {"draw_loss_by_position", "write_report"}


def test_a_training_setting_of_one_run_reruns_that_run(project):
    project.edit("tiny.yaml", lambda text: text.replace("training: {seed: 2}", "training: {seed: 3}"))
    jobs = project.plan("train", "evaluate")
    groups = ("likelihood", "generation", "context", "structure", "words")
    assert jobs - {"train", "evaluate"} == {
        f"{rule}:tiny-b"
        for rule in (
            "train_run",
            "write_model_card",
            *(f"{verb}_{group}" for verb in ("evaluate", "summarise") for group in groups),
        )
    }


def test_an_evaluation_setting_reruns_that_evaluation_and_trains_nothing(project):
    project.edit("tiny.yaml", lambda text: text.replace("continuation_tokens: 16", "continuation_tokens: 17"))
    jobs = project.plan("evaluate") - {"evaluate"}
    assert {job.split(":")[0] for job in jobs if job.startswith("evaluate_")} == {
        *("evaluate_generation", "evaluate_unigram", "evaluate_human"),
    }


def test_changed_code_of_a_stage_reruns_the_stage(project):
    project.edit(
        "scripts/mamba_narrative/evaluation/likelihood.py",
        lambda text: text + "\n_ADDED = 1\n",
    )
    jobs = {job.split(":")[0] for job in project.plan("evaluate")}
    assert "evaluate_likelihood" in jobs
    assert not jobs & {"train_run", "strip_books", "assemble_tokens"}


@pytest.mark.parametrize("change", CHANGES)
def test_what_reruns_is_what_means_something(change, project):
    edits, expected = CHANGES[change]
    apply(edits, project.folder)
    planned = project.plan()
    assert {job for job in planned if not job.startswith("draw_")} == {
        job for job in expected if not job.startswith("draw_")
    }
    assert "draw_training_curve" not in planned or expected


def plan_in_words(project):
    """What `make plan` prints."""
    environment = {**os.environ, "PYTHONPATH": str(project.folder / "scripts")}
    command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "1", "--dry-run"]
    done = subprocess.run(
        [*command, "--logger", "plan"], cwd=project.folder, env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_a_plan_names_trainings_first_and_what_changed(project):
    project.edit("tiny.yaml", lambda text: text.replace("training: {seed: 2}", "training: {seed: 3}"))
    project.edit(f"{LIBRARY}/model/mamba.py", lambda text: f"{text}\n\ndef added_function(): ...\n")
    code, plan, errors = plan_in_words(project)
    assert (code, errors) == (0, "")
    lines = plan.splitlines()
    assert lines[0] == "TRAINED AGAIN FROM THE FIRST STEP: 2 runs"
    assert sorted(lines[1:3]) == [
        "  tiny-a: code of model/mamba.py (added added_function)",
        "  tiny-b: setting training.seed 2 -> 3",
    ]
    assert "  initialise_run: code of model/mamba.py (added added_function)" in lines
    assert "2 write_model_card" in next(line for line in lines if line.startswith("  and what follows from these: "))


def test_a_plan_of_what_is_up_to_date_says_so_and_one_that_fails_says_why(project):
    assert plan_in_words(project) == (0, "Nothing to be done: everything is up to date.\n", "")
    project.edit("tiny.yaml", lambda text: text.replace("training:\n", "training:\n  stpes: 3\n", 1))
    code, plan, errors = plan_in_words(project)
    assert (code, plan) == (1, "")
    assert "training.stpes: unknown key" in errors


@pytest.mark.slow
def test_an_edit_that_changes_no_number_is_taken_over_by_touching(project):
    before = hashes(project)
    for path in (project.folder / LIBRARY).rglob("*.py"):
        path.write_text(path.read_text().replace("WindowSampler", "SamplerOfWindows"))
    assert {"train_run:tiny-a", "train_run:tiny-b"} <= project.plan()
    project.snakemake("--touch")
    assert project.plan() == set()
    assert hashes(project) == before


@pytest.mark.slow
def test_new_names_of_settings_and_measures_retrain_nothing_in_converted_results(project):
    names = {"sequence_length": "context_size", "loop_fraction": "looped", "narrative_fraction": "narrated"}
    for path in [
        project.folder / "config.yaml",
        project.folder / "tiny.yaml",
        *(project.folder / LIBRARY).rglob("*.py"),
    ]:
        text = path.read_text()
        for old, new in names.items():
            text = text.replace(old, new)
        path.write_text(text)
    project.edit(f"{LIBRARY}/config/renamed.tsv", lambda text: text + "".join(f"{o}\t{n}\n" for o, n in names.items()))
    assert {"train_run:tiny-a", "train_run:tiny-b"} <= project.plan()
    convert = [sys.executable, "scripts/convert_records.py", "results"]
    subprocess.run(convert, cwd=project.folder, check=True, capture_output=True)
    project.snakemake("--touch")
    assert project.plan() == set()
    shutil.rmtree(project.folder / "results" / "report")
    assert not {job for job in project.run() if job.startswith(("train_", "strip_", "evaluate_"))}
    assert "context_size" in (project.folder / "results" / "runs" / "tiny-a" / "run.json").read_text()


def hashes(project):
    results = project.folder / "results"
    files = [path for path in results.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    return {str(path): sha256_file(path) for path in files if ".cache" not in path.parts and "logs" not in path.parts}
