"""All paths of a configuration mean the same, and results are written where nothing else lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_limits import KEYS, Key

from mamba_narrative.config.experiment import ExperimentSettings, resolve_experiment
from mamba_narrative.config.paths import expanded
from mamba_narrative.errors import UserError

RUNS = {"a": {"architecture": "mamba"}}
PATHS = [key for key in KEYS if key.rules.get("format") == "path"]
# Web addresses and names that can be nothing else, although their descriptions speak of files.
NO_PATHS = {
    "mirrors",
    "catalogue_url",
    "variants",
    "method",
    "source",
    "rights",
    "gutenberg",
    "tasks",
    "classes",
    "name",
}


def named(key: Key) -> str:
    return ".".join(key.path)


def resolved(key: Key, value: str) -> str:
    """What a key holds after ``value`` was given for it."""
    beside = {"source": "huggingface"} if key.path[0] == "corpus" else {}
    configuration = key.configuration(value, beside if len(key.path) == 2 else {})
    if key.path[0] == "corpus":
        folder = {"directory": "books"} if key.path[-1] != "directory" else {}
        configuration["corpus"] |= {"source": "huggingface", **folder}
    found = resolve_experiment(configuration).model_dump()
    for name in key.path:
        found = found[0] if name == "[]" else found[name]
    return found


def refused(configuration: dict, **folders: Path) -> str:
    with pytest.raises(UserError) as error:
        resolve_experiment({"runs": RUNS, **configuration}, **folders)
    return str(error.value)


def test_every_key_that_is_a_path_is_treated_as_one():
    assert {named(key) for key in PATHS} == {
        "results_dir",
        "corpus.directory",
        "corpus.catalogue",
        "corpus.lock",
        "corpus.gutenberg.archive",
        "corpus.huggingface.dataset",
        "tokens.tokenizer",
        "evaluation.published.[].path",
        "evaluation.published.[].tokenizer",
        "evaluation.tasks.task_directory",
    }
    texts = [key for key in KEYS if key.rules.get("type") == "string" and "enum" not in key.rules]
    speak_of_paths = {
        named(key)
        for key in texts
        if any(word in key.rules.get("description", "") for word in ("Folder", "folder", "path", " file", "File"))
        and not NO_PATHS & set(key.path[-1:])
    }
    assert speak_of_paths <= {named(key) for key in PATHS} | {
        f"{section}.staging_directory" for section in ("training", "runs.mamba.training", "runs.transformer.training")
    }


@pytest.mark.parametrize("key", PATHS, ids=named)
def test_a_path_has_its_home_folder_and_variables_replaced(key, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOOKS", "/data/books")
    assert resolved(key, "~/x y") == f"{tmp_path}/home/x y"
    assert resolved(key, "$BOOKS/x") == resolved(key, "${BOOKS}/x") == "/data/books/x"
    assert resolved(key, "x.y/z~1") == "x.y/z~1"


@pytest.mark.parametrize("key", PATHS, ids=named)
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("$NOT_SET_ANYWHERE/x", "the variable NOT_SET_ANYWHERE is not set"),
        ("${EMPTY}/x", "the variable EMPTY is not set, or empty"),
        ("cost $5", "'$' begins the name of a variable"),
        ("${", "'$' begins the name of a variable"),
        ("$(touch x)", "'$' begins the name of a variable"),
        ("~nobody-of-this-name/x", "home folder of a user"),
        ("", "at least 1 character"),
        ("   ", "blank"),
        (" x", "blank"),
        ("a\nb", "'\\n'"),
        ("a\0b", "'\\x00' is a control character"),
        ("a<draft>", "'<' cannot be part of a path"),
        ("a{b}", "'{' cannot be part of a path"),
        ("-x", "take what begins with '-' for an option"),
        ("s3://bucket/x", "is an address"),
        ("r" * 256, "at most 255 bytes"),
        ("é" * 128, "at most 255 bytes"),
        ("r/" * 600, "at most 1024 characters"),
    ],
)
def test_what_is_no_path_for_every_part_of_the_workflow_is_refused(key, path, reason, monkeypatch):
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(UserError) as error:
        resolve_experiment(key.configuration(path))
    assert reason in str(error.value)
    assert key.path[-1] in str(error.value)


@given(st.text(st.sampled_from("ab$~{}/<- "), max_size=12))
def test_a_path_that_was_expanded_stays_as_it_is(path):
    try:
        found = expanded(path)
    except ValueError:
        return
    assert expanded(found) == found


def test_variables_of_the_staging_folder_are_those_of_the_machine_that_trains(monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    for path in ("$TMPDIR", "${TMPDIR}/tokens", "/scratch/$USER", "~/scratch"):
        experiment = resolve_experiment({"runs": RUNS, "training": {"staging_directory": path}})
        assert experiment.runs["a"] is not None
        assert experiment.runs["a"].training.staging_directory == path
    for path in ("$(touch x)", "scratch", "/a\nb", "/a ", "/$"):
        assert "staging_directory" in refused({"training": {"staging_directory": path}})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that looks like the project, below one of the user's."""
    folder = tmp_path / "mine" / "project"
    for name in ("scripts", "workflow/rules", "tests", "envs", ".git", "results"):
        (folder / name).mkdir(parents=True)
    (folder / "README.md").write_text("A project.")
    return folder


@pytest.mark.parametrize("path", ["results", "results/x", "my results", "../beside", "résultats", "a'b\"c;d*e[f]"])
def test_results_have_a_folder_of_their_own(project, path):
    resolve_experiment({"runs": RUNS, "results_dir": path}, start=project, project=project)


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        (".", "where snakemake is called"),
        ("./", "where snakemake is called"),
        ("..", "where snakemake is called"),
        ("results/..", "where snakemake is called"),
        ("/", "holds it"),
        ("~", "your home folder"),
        ("scripts", "lies in scripts"),
        ("Scripts", "lies in Scripts"),
        ("workflow/rules", "lies in workflow"),
        ("results/../tests/x", "lies in tests"),
        ("envs/", "lies in envs"),
        (".git/x", "lies in .git"),
        (".snakemake", "lies in .snakemake"),
        ("README.md", "is a file"),
        ("README.md/x", "is a file"),
        ("loop/x", "cannot be followed"),
        ("link", "lies in scripts"),
        ("elsewhere/../scripts", "lies in scripts"),
    ],
)
def test_results_are_not_written_over_anything_else(project, path, whose, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (project / "link").symlink_to("scripts/x")
    (project / "loop").symlink_to("loop")
    (project / "elsewhere").symlink_to(tmp_path)
    message = refused({"results_dir": path}, start=project, project=project)
    assert message.startswith("results_dir")
    assert whose in message


def test_results_do_not_hold_the_project_when_it_is_called_from_elsewhere(project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for path in ("../mine", str(project), "../mine/project/workflow"):
        assert "results_dir" in refused({"results_dir": path}, start=tmp_path / "elsewhere", project=project)


@pytest.mark.parametrize(
    ("results", "books"),
    [
        ("raw/results", "raw"),
        ("results", "results/raw"),
        ("raw", "raw"),
        ("results", "."),
        ("results", ".."),
        ("./raw/../raw/x", "raw/"),
        ("results", "link-to-results/raw"),
        ("link-to-raw/results", "raw"),
    ],
)
@pytest.mark.parametrize("source", ["directory", "gutenberg", "huggingface"])
def test_results_and_books_do_not_lie_inside_each_other(project, results, books, source):
    (project / "link-to-results").symlink_to("results")
    (project / "link-to-raw").symlink_to("raw")
    (project / "raw").mkdir()
    message = refused(
        {"results_dir": results, "corpus": {"source": source, "directory": books}}, start=project, project=project
    )
    assert "one inside the other" in message
    assert "choose two folders beside each other" in message


def test_folders_whose_names_begin_alike_are_beside_each_other(project):
    corpus = {"source": "directory", "directory": "raw"}
    resolve_experiment({"runs": RUNS, "results_dir": "raw-results", "corpus": corpus}, start=project, project=project)


def test_without_folders_given_it_is_the_current_one_and_this_project(monkeypatch):
    root = Path(__file__).resolve().parents[3]
    monkeypatch.chdir(root / "tests")
    assert "lies in scripts" in refused({"results_dir": "../scripts"})
    assert "called" in refused({"results_dir": os.curdir})
    assert ExperimentSettings(runs={"a": None, "b": RUNS["a"]}).results_dir == "results"  # type: ignore[arg-type]
