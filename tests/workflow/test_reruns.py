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
    project.edit(module, lambda text: text + "\n_ADDED = 1\n")
    assert project.plan() == {"draw_training_curve", "write_report"}


def test_a_changed_evaluation_table_redraws_its_figures_only(project):
    project.edit("results/evaluation/tiny-a/position.csv", lambda text: text.replace("0", "1"))
    assert project.plan() == {"draw_loss_by_position", "write_report"}


def test_a_training_setting_of_one_run_reruns_that_run(project):
    project.edit("tiny.yaml", lambda text: text.replace("training: {seed: 2}", "training: {seed: 3}"))
    jobs = project.run("train", "evaluate")
    assert jobs - {"train", "evaluate"} == {
        "train_run:tiny-b",
        "write_model_card:tiny-b",
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
        lambda text: text + "\n_ADDED = 1\n",
    )
    jobs = {job.split(":")[0] for job in project.plan("evaluate")}
    assert "evaluate_likelihood" in jobs
    assert not jobs & {"train_run", "strip_books", "assemble_tokens"}


LIBRARY = "scripts/mamba_narrative"
GRU = {
    f"{LIBRARY}/config/architectures/gru.py": (
        "from typing import Literal\n\nfrom mamba_narrative.config.base import Section\n"
        "from mamba_narrative.config.run import Run\n\n\nclass GruSettings(Section):\n    d_model: int = 8\n\n\n"
        'class GruRun(Run):\n    architecture: Literal["gru"]\n'
        "    model: GruSettings = GruSettings()\n\n\nRUN = GruRun\n"
    ),
    f"{LIBRARY}/model/gru.py": "MODEL = None\n",
}
OF_THE_TRANSFORMER = {
    f"{rule}:tiny-b"
    for rule in ("train_run", *(f"evaluate_{group}" for group in ("likelihood", *["context", "structure", "words"])))
} | {"evaluate_generation:tiny-b", "write_model_card:tiny-b", "compare_runs", "make_tables", "write_report"}


def docstring(text: str) -> str:
    return text.replace('"""', '"""In other words: ', 1)


def code(text: str) -> str:
    return text + "\n_ADDED = 1\n"


def training(**settings: object) -> dict[str, object]:
    """A change of the configuration's section `training`."""
    lines = "".join(f"  {name}: {str(value).lower()}\n" for name, value in settings.items())
    return {"tiny.yaml": lambda text: text.replace("training:\n", f"training:\n{lines}", 1)}


CHANGES = {
    "a text of help": (
        {f"{LIBRARY}/command.py": lambda text: text.replace("also write messages", "write them")},
        set(),
    ),
    "docstrings": (
        {f"{LIBRARY}/{module}.py": docstring for module in ("progress", "model/transformer", "model/registry")},
        set(),
    ),
    "the text of the model card": (
        {f"{LIBRARY}/reporting/run_card.py": lambda text: text.replace("The books are old", "Books are old")},
        {"write_model_card:tiny-a", "write_model_card:tiny-b"},
    ),
    "a comment in a figure": (
        {f"{LIBRARY}/reporting/figures/training_curve.py": lambda text: f"{text}\n# Why.\n"},
        set(),
    ),
    "an architecture that no run names": ({path: lambda _, text=text: text for path, text in GRU.items()}, set()),
    "how often and how many checkpoints": (training(keep_checkpoints=5, keep_every_steps=3), set()),
    "how a step is computed": (
        training(micro_batch_size=1, activation_checkpointing=True, cuda_graphs=False, max_skipped_steps=9),
        set(),
    ),
    "how many books are read at once": (
        {"tiny.yaml": lambda text: text.replace("  likelihood:\n", "  likelihood:\n    batch_size: 2\n", 1)},
        set(),
    ),
    "a published model": (
        {
            "tiny.yaml": lambda text: text.replace(
                "evaluation:\n", "evaluation:\n  published: [{name: other, path: results/runs/tiny-a/model}]\n", 1
            )
        },
        {"evaluate_published:other", "compare_runs", "make_tables", "write_report"},
    ),
    "the code of one architecture": ({f"{LIBRARY}/model/transformer.py": code}, OF_THE_TRANSFORMER),
    "the code of one figure": (
        {f"{LIBRARY}/reporting/figures/training_curve.py": code},
        {"draw_training_curve", "write_report"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_reruns_is_what_means_something(change, project):
    edits, expected = CHANGES[change]
    for path, edit in edits.items():
        file = project.folder / path
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(edit(before), encoding="utf-8")
        assert file.read_text(encoding="utf-8") != before
    planned = project.plan()
    assert {job for job in planned if not job.startswith("draw_")} == {
        job for job in expected if not job.startswith("draw_")
    }
    assert "draw_training_curve" not in planned or expected
