"""Nothing stale: whatever ends a call, moves a folder or replaces a file, the next call redoes what is outdated."""

from __future__ import annotations

import os
import shutil

import pytest
import yaml
from workflow_project import Project, copy_sources

from mamba_narrative.io import read_table

pytestmark = pytest.mark.xdist_group("workflow")

TRAINING = {"train_run:tiny-a", "train_run:tiny-b"}


def configure(project: Project, section: str, **settings: object) -> None:
    path = project.folder / project.configuration
    experiment = yaml.safe_load(path.read_text(encoding="utf-8"))
    experiment.setdefault(section, {}).update(settings)
    path.write_text(yaml.safe_dump(experiment), encoding="utf-8")


def replace_with_an_older_file(project: Project, path: str, change) -> None:
    """As `rsync -a`, `cp -p` and tar do: other content, and a time before that of any result."""
    file = project.folder / path
    text = file.read_text(encoding="utf-8")
    assert change(text) != text
    file.write_text(change(text), encoding="utf-8")
    os.utime(file, (1_000_000_000, 1_000_000_000))


def test_a_call_that_ends_after_the_new_splits_leaves_tokens_and_models_outdated(project):
    configure(project, "splits", seed=5)
    project.snakemake("--until", "split_books")
    planned = project.plan()
    assert {"measure_leaks", "assemble_tokens", "join_books"} <= planned
    project.snakemake("tokens")
    for split in ("train", "validation", "test"):
        of_splits, of_tokens = (
            [row["book_id"] for row in read_table(project.folder / "results" / path)]
            for path in (f"splits/{split}.tsv", f"tokens/{split}.books.tsv")
        )
        assert of_splits == of_tokens
    assert project.plan() >= TRAINING


def test_a_raw_book_replaced_by_an_older_file_is_stripped_again(project):
    replace_with_an_older_file(project, "workflow/sample/raw/900001.txt", lambda text: text.replace(" the ", " that "))
    assert "assemble_tokens" in project.plan()


def test_a_catalogue_replaced_by_an_older_file_is_read_again(project):
    replace_with_an_older_file(project, "workflow/sample/catalog.csv", lambda text: text + "\n")
    assert any(job.startswith("select_books") for job in project.plan())


def test_a_source_file_replaced_by_an_older_one_runs_again(project):
    module = "scripts/mamba_narrative/reporting/figures/training_curve.py"
    replace_with_an_older_file(project, module, lambda text: text + "\nOLDER = 1\n")
    assert project.plan() == {"draw_training_curve", "write_report"}


def test_results_moved_or_spelled_in_another_way_are_the_same_results(project):
    results = project.folder / "results"
    for spelled in (str(results), "./results", "elsewhere/../results"):
        (project.folder / "elsewhere").mkdir(exist_ok=True)
        assert project.plan("--config", f"results_dir={spelled}") == set(), spelled
    shutil.move(results, project.folder / "elsewhere" / "moved")
    assert project.plan("--config", "results_dir=elsewhere/moved") == set()
    planned = project.plan("--config", "results_dir=elsewhere/moved", "training={learning_rate: 0.001}")
    assert planned >= TRAINING


def test_a_copy_of_the_results_at_another_path_is_up_to_date(project):
    shutil.copytree(project.folder / "results", project.folder / "copy", copy_function=shutil.copyfile)
    assert project.plan("--config", "results_dir=copy") == set()


def test_two_copies_of_the_project_that_share_results_see_each_others_changes(project, tmp_path):
    other = Project(tmp_path / "other")
    other.folder.mkdir()
    copy_sources(other.folder)
    shared = f"results_dir={project.folder / 'results'}"
    assert other.plan("--config", shared) == set()
    other.snakemake("--config", shared, "stripping={unwrap_paragraphs: false}", "--until", "strip_books")
    assert any(job.startswith("strip_books") for job in project.plan())


def test_results_without_a_record_are_never_taken_as_they_are(project):
    shutil.rmtree(project.folder / "results" / ".snakemake")
    outcome = project.snakemake("--dry-run", check=False)
    assert outcome.code != 0
    assert "results have no record of how they were made" in outcome.text
    assert "copy that, too, or delete these results" in outcome.text
    assert not outcome.jobs


def test_one_result_brought_from_elsewhere_is_refused_by_name(project):
    source = project.folder / "results" / "evaluation" / "tiny-a"
    shutil.copytree(source, project.folder / "results" / "evaluation" / "tiny-c")
    outcome = project.snakemake("--dry-run", check=False)
    assert "evaluation/tiny-c/" in outcome.text


@pytest.mark.parametrize("name", ["train.bin", "test.books.tsv"])
def test_carried_token_files_are_refused_where_they_differ_from_their_manifest(finished, tmp_path, name):
    elsewhere = Project(tmp_path)
    copy_sources(tmp_path)
    elsewhere.edit(
        "tiny.yaml", lambda text: text.replace("corpus:", "corpus:\n  source: directory\n  directory: gone", 1)
    )
    shutil.copytree(finished.folder / "results" / "tokens", tmp_path / "results" / "tokens")
    path = tmp_path / "results" / "tokens" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    arguments = ("--workflow-profile", "workflow/profiles/from-tokens", "--dry-run", "train")
    outcome = elsewhere.snakemake(*arguments, check=False)
    assert outcome.code != 0
    assert f"{name}: its sha256 is not the one in" in outcome.text


RULES = [
    *["strip_books", "select_books", "sketch_books", "find_duplicates", "split_books", "measure_leaks"],
    *["encode_books", "assemble_tokens", "join_books", "initialise_run", "train_run", "write_model_card"],
    *["evaluate_likelihood", "evaluate_context", "evaluate_structure", "evaluate_words", "evaluate_generation"],
    *["evaluate_unigram", "evaluate_ngram", "evaluate_compressor", "evaluate_human", "summarise_words"],
    *["make_tables", "compare_runs", "draw_training_curve", "draw_loss_by_position", "draw_corpus_composition"],
]
"""Rules whose jobs others wait for, and some of those for which nobody waits but the page."""


@pytest.fixture(scope="module")
def two_states(tmp_path_factory) -> tuple[Project, dict[str, Project]]:
    """A project with one run, and what fresh runs of two configurations of it give, which differ in every stage."""
    states = {}
    for name, other in (("first", False), ("second", True)):
        project = Project(tmp_path_factory.mktemp(name))
        copy_sources(project.folder)
        settle(project, other)
        project.snakemake()
        states[name] = project
    working = Project(tmp_path_factory.mktemp("working") / "project")
    shutil.copytree(states["first"].folder, working.folder)
    return working, states


def settle(project: Project, other: bool) -> None:
    """Settings of which the other ones change texts, selection, clusters, splits, training and measures."""
    configure(project, "runs", **{"tiny-b": None})
    configure(project, "stripping", unwrap_paragraphs=not other)
    configure(project, "selection", min_words=1_100 if other else 1_000)
    configure(project, "splits", seed=5 if other else 1)
    configure(project, "training", seed=2 if other else 1)
    path = project.folder / project.configuration
    experiment = yaml.safe_load(path.read_text(encoding="utf-8"))
    for group in ("likelihood", "context", "structure", "words", "generation"):
        experiment["evaluation"].setdefault(group, {})["bootstrap_samples"] = 110 if other else 100
    path.write_text(yaml.safe_dump(experiment), encoding="utf-8")


NOT_COMPARED = {
    "splits/moves.tsv": "tells of the call before",
    "splits/history.tsv": "the same",
    "runs/tiny-a/run.json": "holds times",
    "runs/untrained/run.json": "holds times",
    "runs/tiny-a/train.csv": "holds times",
    "runs/tiny-a/model/README.md": "holds times",
    "report/tables/runs.csv": "holds times",
    "report/tables/runs.md": "holds times",
    "report/index.html": "shows times",
}


def contents(project: Project) -> dict[str, bytes]:
    results = project.folder / "results"
    skipped = ("logs", "benchmarks", "state", "environment", ".snakemake", ".cache")
    return {
        name: path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file()
        and not (name := str(path.relative_to(results))).startswith(skipped)
        and name.replace("/.sha256/", "/").removesuffix(".sha256") not in NOT_COMPARED
    }


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "turn"), [(rule, turn) for turn, rule in enumerate(RULES)])
def test_a_call_that_ends_after_any_rule_is_finished_by_the_next_call(two_states, rule, turn):
    working, states = two_states
    # The working project goes back and forth between the two; a turn that failed may have left it on either side.
    wanted = "second" if turn % 2 == 0 else "first"
    settle(working, other=wanted == "second")
    working.snakemake("--until", rule)
    working.snakemake("--rerun-incomplete")
    found, expected = contents(working), contents(states[wanted])
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert working.plan() == set()
