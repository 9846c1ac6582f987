"""What the documents name exists, their commands work, and the citation can be read."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from command_calls import parser_of
from document_commands import Command, commands
from mamba_narrative import __version__

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "CONTRIBUTING.md"]
PATHS = re.compile(r"\b(?:scripts|workflow|tests|envs)/[\w./-]*\w|\brequirements[\w-]*\.txt")
MADE_BY_EXAMPLES = {
    "scripts/mamba_narrative/config/architectures/gru.py",
    "scripts/mamba_narrative/model/gru.py",
    "scripts/mamba_narrative/reporting/figures/book_lengths.py",
    "workflow/report/book_lengths.rst",
}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_a_document_names_exist(name):
    named = set(PATHS.findall(text_of(name))) - MADE_BY_EXAMPLES
    assert len(named) > 5
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_pictures_and_links_of_the_readme_lead_somewhere():
    text = text_of("README.md")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.removeprefix("#") in headings if target.startswith("#") else (ROOT / target).is_file(), target


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["version"] == __version__
    assert {"cff-version", "title", "message", "type", "authors", "license", "abstract"} <= citation.keys()
    assert f"## {__version__}" in text_of("CHANGELOG.md")


def no_placeholders(command: Command) -> list[str]:
    """The words of a command, NAME as the name of an experiment, without the dots that stand for more."""
    words = [word.replace("NAME", "mamba-130m") for word in command.words if word != "..."]
    return [*words, "my-experiment.yaml"] if words[-1] == "--configfile" else words


def check_snakemake(command: Command) -> None:
    """As snakemake itself reads it, all settings are files and all targets are rules or results."""
    arguments = get_argument_parser().parse_args(no_placeholders(command)[1:])
    for path in arguments.configfile or []:
        assert (ROOT / path).is_file() or str(path) == "my-experiment.yaml", f"{path} is no configuration file"
    for target in arguments.targets:
        assert target in rules() or re.match(r"\w+/", target), f"{target} is no target"
    if command.document.endswith((".py", ".smk")):
        return
    profile = ROOT / (arguments.workflow_profile or "none") / "config.yaml"
    if arguments.workflow_profile:
        assert profile.is_file()
    has_cores = arguments.cores or (profile.is_file() and "cores" in yaml.safe_load(profile.read_text("utf-8")))
    assert has_cores or arguments.unlock or arguments.report, "snakemake wants --cores"


def check_python(command: Command) -> None:
    """A command's own parser takes the arguments; benchmarks, which need GPUs and hours, know the options."""
    path, *arguments = command.words[1:]
    assert (ROOT / path).is_file()
    if path.startswith("scripts/"):
        parser_of(importlib.import_module(Path(path).stem)).parse_args(arguments)
    else:
        text = text_of(path)
        assert path.startswith("tests/")
        made = re.findall(r'add_argument\(f"--\{', text)
        options = [word for word in arguments if word.startswith("--")]
        assert [word for word in options if f'"{word}"' not in text and not (made and f'"{word[2:]}"' in text)] == []


def check_make(command: Command) -> None:
    done = subprocess.run(["make", "--dry-run", *command.words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def check_pytest(command: Command) -> None:
    words = command.words[1:]
    if words[0] == "-m":
        assert f'"{words[1]}:' in text_of("pyproject.toml")
        words = words[2:]
    assert all((ROOT / path).exists() for path in words)


def check_pip(command: Command) -> None:
    assert command.words[1] == "install"
    if "-r" in command.words:
        assert (ROOT / command.words[-1]).is_file()


def check_docker(command: Command) -> None:
    if "-f" in command.words:
        assert (ROOT / command.words[command.words.index("-f") + 1]).is_file()
    assert "mamba-narrative" in command.text


def check_outside(command: Command) -> None:
    """A program of the system that is not here, or whose work is the system's."""
    assert len(command.words) > 1


CHECKS: dict[str, Callable[[Command], None]] = {
    "snakemake": check_snakemake,
    "python": check_python,
    "make": check_make,
    "pytest": check_pytest,
    "pip": check_pip,
    "docker": check_docker,
    "apptainer": check_docker,
    "squeue": check_outside,
    "apt-get": check_outside,
}


@pytest.mark.parametrize("command", commands(), ids=str)
def test_a_command_that_a_document_shows_is_one_that_works(command, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    assert command.program in CHECKS, "a command that no test knows how to check"
    CHECKS[command.program](command)


def test_commands_are_found_in_all_kinds_of_documents():
    found = {command.document for command in commands()}
    assert {"README.md", "CONTRIBUTING.md", "BASELINE.md", "config.yaml", "envs/Dockerfile"} <= found
    assert {f"workflow/profiles/{name}/config.yaml" for name in ("from-tokens", "local", "slurm")} <= found
    assert sum(command.program == "snakemake" for command in commands()) > 25


@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        ("snakemake --cores 4 --configfile my-experiment.yaml train", "train is no configuration file"),
        ("snakemake --cores 4 trian", "trian is no target"),
        ("snakemake models", "wants --cores"),
        ("python scripts/generate.py --promt x", "SystemExit"),
        ("python tests/benchmarks/bench_mamba.py --wihtout cpu", "--wihtout"),
        ("make install", "No rule to make target"),
    ],
)
def test_a_command_that_cannot_work_is_found(shown, fault, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    command = Command("README.md", 1, shown)
    with pytest.raises((AssertionError, SystemExit)) as error:
        CHECKS[command.program](command)
    assert fault in f"{error.type.__name__}: {error.value}"


@pytest.mark.parametrize("script", sorted(path.stem for path in (ROOT / "scripts").glob("*.py")))
def test_the_examples_of_a_command_are_taken_by_it(script, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    shown = parser_of(importlib.import_module(script)).epilog or ""
    examples = re.findall(r"^  (python scripts/.*(?:\n    .*)*)$", shown, re.MULTILINE)
    assert examples
    for example in examples:
        check_python(Command(f"scripts/{script}.py", 1, example.replace("\\\n", "")))


@cache
def rules() -> set[str]:
    """All rules of the workflow."""
    texts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    return set(re.findall(r"^(?:rule|checkpoint) (\w+):", texts, re.MULTILINE))
