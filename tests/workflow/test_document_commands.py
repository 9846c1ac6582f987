"""The commands that documents show are called: planned where the work is long, run where it is short."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workflow_project import REPOSITORY, Project, copy_sources

from document_commands import Command, commands

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("documents")]

SAMPLE = REPOSITORY / "workflow" / "sample"
EXPERIMENT = "my-experiment.yaml"
SHOWN = [command for command in commands() if command.program == "snakemake" and not command.document.endswith(".py")]
WITH_RESULTS = [command for command in SHOWN if "--report" in command.words or "from-tokens" in command.text]
PLANNED = [command for command in SHOWN if command not in WITH_RESULTS]
SHOW_BOOK = [command for command in commands() if command.words[1:2] == ["scripts/show_book.py"]]
GENERATE = [command for command in commands() if command.words[1:2] == ["scripts/generate.py"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A project with raw books wherever a configuration of the documents looks for them."""
    folder = tmp_path_factory.mktemp("documents") / "project"
    folder.mkdir()
    copy_sources(folder)
    shown = [command.settings for command in SHOWN if command.settings]
    texts = [*shown, *(path.read_text("utf-8") for path in (REPOSITORY / "workflow" / "configs").glob("*.yaml"))]
    for corpus in (yaml.safe_load(text).get("corpus", {}) for text in texts):
        if corpus.get("source") == "directory":
            raw, catalogue = folder / corpus["directory"], folder / corpus["catalogue"]
            shutil.copytree(SAMPLE / "raw", raw, dirs_exist_ok=True)
            shutil.copy(next(path for path in raw.rglob("900001*.txt")), raw / "1342.txt")
            shutil.copy(SAMPLE / "catalog.csv", catalogue)
    return folder


def call(folder: Path, command: Command, *more: str) -> subprocess.CompletedProcess[str]:
    """Call snakemake as the document shows it, with ``more`` options in front."""
    words = [word.replace("NAME", "gutenberg-local") for word in command.words[1:] if word != "..."]
    if words[-1] == "--configfile":
        words.append(EXPERIMENT)
    settings = command.settings or (folder / "tiny.yaml").read_text(encoding="utf-8")
    (folder / EXPERIMENT).write_text(settings, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *more, *words], cwd=folder, capture_output=True, text=True
    )


def test_the_documents_show_commands_of_every_kind():
    assert len(PLANNED) > 20
    assert WITH_RESULTS
    assert SHOW_BOOK
    assert GENERATE
    assert sum(command.settings is not None for command in PLANNED) >= 3


@pytest.mark.parametrize("command", PLANNED, ids=str)
def test_a_command_of_snakemake_can_be_planned(command, folder):
    done = call(folder, command, "--quiet", "all", "--dry-run")
    if "source: gutenberg" in (command.settings or "") and "acquire_books" not in command.words:
        # As the page says, the books are brought first.
        assert done.returncode == 1
        assert "run `snakemake --cores 1 acquire_books`" in done.stdout + done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", WITH_RESULTS, ids=str)
def test_a_command_that_needs_results_works_where_they_are(command, project: Project):
    (project.folder / "config.yaml").write_text(
        yaml.safe_dump(merged(project.folder / "config.yaml", project.folder / "tiny.yaml")), encoding="utf-8"
    )
    if "from-tokens" in command.text:
        done = call(project.folder, command, "--dry-run", "--forceall")
        assert re.findall(r"^ *rule (train_run):", done.stdout + done.stderr, re.MULTILINE)
    else:
        done = call(project.folder, command)
        assert [path.stat().st_size > 10_000 for path in project.folder.rglob("report.zip")] == [True], done.stderr
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", SHOW_BOOK, ids=str)
def test_the_commands_that_show_a_book_show_it(command, folder):
    done = run_script(folder, command.text.split("#")[0].replace("| less -R", ""))
    assert "PROJECT GUTENBERG" in (done.stdout + "".join(path.read_text() for path in folder.glob("book.html"))).upper()


@pytest.mark.parametrize("command", GENERATE, ids=str)
def test_the_command_that_continues_a_text_does(command, project: Project):
    done = run_script(project.folder, command.text.replace("mamba-sample", "tiny-a"))
    assert done.stdout.strip()


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    words = shlex.split(text)
    done = subprocess.run([sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def merged(below: Path, above: Path) -> dict:
    """One configuration on top of another, as snakemake puts it."""
    from snakemake.utils import update_config

    settings = yaml.safe_load(below.read_text(encoding="utf-8"))
    update_config(settings, yaml.safe_load(above.read_text(encoding="utf-8")))
    return settings
