"""Only what is outdated reruns, by content."""

from __future__ import annotations

import os
import shutil
import time

import pytest
from workflow_project import Project, copy_sources

from mamba_narrative.corpus.inventory import shard_of
from mamba_narrative.io import read_table

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
    jobs = project.run()
    shard = shard_of(book_id, 3)
    assert {job for job in jobs if job.startswith(PER_SHARD)} == {f"{rule}:{shard}" for rule in PER_SHARD}
    assert jobs >= WHOLE_CORPUS
    assert project.plan() == set()


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
    project.edit(module, lambda text: text + "\n# A comment is a change of the code.\n")
    assert project.plan() == {"draw_training_curve", "write_report"}


def test_a_changed_evaluation_table_redraws_its_figures_only(project):
    project.edit("results/evaluation/tiny-a/position.csv", lambda text: text.replace("0", "1"))
    assert project.plan() == {"draw_loss_by_position", "write_report"}


def test_a_training_setting_of_one_run_reruns_that_run(project):
    project.edit("tiny.yaml", lambda text: text.replace("training: {seed: 2}", "training: {seed: 3}"))
    jobs = project.run("train", "evaluate")
    assert jobs - {"train", "evaluate"} == {
        "train_run:tiny-b",
        "evaluate_likelihood:tiny-b",
        "evaluate_generation:tiny-b",
        "evaluate_context:tiny-b",
        "evaluate_structure:tiny-b",
        "evaluate_words:tiny-b",
    }


def test_an_evaluation_setting_reruns_that_evaluation_and_trains_nothing(project):
    project.edit("tiny.yaml", lambda text: text.replace("continuation_tokens: 16", "continuation_tokens: 17"))
    jobs = project.plan("evaluate") - {"evaluate"}
    assert {job.split(":")[0] for job in jobs} == {"evaluate_generation", "evaluate_unigram", "evaluate_human"}


def test_changed_code_of_a_stage_reruns_the_stage(project):
    project.edit(
        "scripts/mamba_narrative/evaluation/likelihood.py",
        lambda text: text + "\n# A comment is a change of the code.\n",
    )
    jobs = {job.split(":")[0] for job in project.plan("evaluate")}
    assert "evaluate_likelihood" in jobs
    assert not jobs & {"train_run", "strip_books", "assemble_tokens"}
