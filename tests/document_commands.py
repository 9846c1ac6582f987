"""Find the commands that documents show: in blocks and spans of code, and in comments of YAML and container files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "BASELINE.md", "config/README.md"]
# A code span is a command where it begins with one of these; in a code block every line is one.
PROGRAMS = ("snakemake", "python", "pytest", "make", "pip", "squeue", "docker", "apptainer", "apt-get", "git")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(rf"^    ((?:{'|'.join(PROGRAMS)}) .*(?:\\\n.*)*)$", re.MULTILINE)
_SPAN = re.compile(r"(`+)([^`]+)\1")
_COMMENT = re.compile(r"^#.*?(?<![\w/])((?:snakemake (?:[a-z]+ )*-|docker |apptainer |python ).*)$", re.MULTILINE)
_OF_BENCHMARK = re.compile(r"^ *(python tests/\S+\.py.*)$", re.MULTILINE)
_SETTINGS = re.compile(r"^(?:corpus|results_dir|runs|evaluation|training):", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """One command as a document shows it, with the settings that the document shows right before it."""

    document: str
    line: int
    text: str
    settings: str | None = None

    @property
    def words(self) -> list[str]:
        """The words of the command, without variables that are set for it and without what reads its output."""
        words = shlex.split(self.text, comments=True)
        words = words[: words.index("|")] if "|" in words else words
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        return [re.sub(r"^\.venv/bin/", "", words[0]), *words[1:]] if words else []

    @property
    def program(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.text}"


def commands() -> list[Command]:
    """Every command of every document, in the order of the pages."""
    return [command for name in documents() for command in commands_of(name)]


def documents() -> list[str]:
    """Pages, settings and containers with comments, rules and code whose texts name commands."""
    patterns = ("workflow/**/*.md", "workflow/**/*.yaml", "envs/*", "workflow/rules/*.smk", "scripts/**/*.py")
    found = [*PAGES, "config.yaml"]
    found += [path for pattern in (*patterns, "tests/benchmarks/*.py") for path in _below(pattern)]
    return [name for name in found if (ROOT / name).is_file()]


def commands_of(document: str) -> Iterator[Command]:
    """The commands of one document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if document.endswith(".md"):
        yield from _of_a_page(document, text)
    elif document.endswith((".py", ".smk")):
        yield from _spans(document, text)
        for match in _OF_BENCHMARK.finditer(text):
            yield Command(document, _line(text, match.start()), re.sub(r"[\[\]\\]", "", match[1]))
    else:
        for match in _COMMENT.finditer(text):
            shown = re.sub(r"[\[\]]", "", match[1]).split("; ")[0]
            yield Command(document, _line(text, match.start()), re.sub(r"(?<=\w)[.,]$", "", shown))


def _of_a_page(document: str, text: str) -> Iterator[Command]:
    settings = None
    for match in _BLOCK.finditer(text):
        language, body = match.groups()
        if language == "yaml" and _SETTINGS.search(body):
            settings = body
        if language == "sh":
            line = _line(text, match.start(2))
            for shown in body.replace("\\\n", "  ").split("\n"):
                if shown.split("#")[0].strip():
                    yield Command(document, line, re.sub(r"  +", " ", shown), settings)
                line += 1
            settings = None
    without_blocks = _BLOCK.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _INDENTED.finditer(without_blocks):
        yield Command(document, _line(text, match.start()), re.sub(r"\\\n\s*", "", match[1]))
    yield from _spans(document, without_blocks)


def _spans(document: str, text: str) -> Iterator[Command]:
    for match in _SPAN.finditer(text):
        shown = " ".join(match[2].split())
        first = re.sub(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?", "", shown).split(" ")[0]
        # Braces and angles are the places of a template, filled in elsewhere.
        if first in PROGRAMS and shown != first and not re.search(r"[{<]", shown):
            yield Command(document, _line(text, match.start()), shown)


def _below(pattern: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern))


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
