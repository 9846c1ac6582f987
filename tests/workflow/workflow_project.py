"""Call the workflow in a project folder of its own and see which jobs it ran."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ["Snakefile", "config.yaml", "CITATION.cff", "workflow", "scripts", "envs"]
JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):$((?:\n +.*)*)", re.MULTILINE)


@dataclass
class Outcome:
    """What one call of snakemake said: exit code, everything printed, and the jobs as rule or rule:wildcard."""

    code: int
    text: str
    jobs: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = set()
        for rule, details in JOB.findall(self.text):
            wildcard = re.search(r"wildcards: \w+=(\S+)", details)
            self.jobs.add(f"{rule}:{wildcard[1]}" if wildcard else rule)


@dataclass
class Project:
    """A copy of the sources with a results folder of its own."""

    folder: Path
    configuration: str = "tiny.yaml"

    def snakemake(self, *arguments: str, check: bool = True) -> Outcome:
        # Two jobs of one thread at once, not one of two: other tests run beside them on the same cores.
        cores = ["--cores", "2", "--max-threads", "1"]
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--configfile", self.configuration, *cores, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        outcome = Outcome(done.returncode, done.stdout + done.stderr)
        assert done.returncode == 0 or not check, outcome.text
        return outcome

    def plan(self, *arguments: str) -> set[str]:
        """The jobs that snakemake would run, without the targets that only collect files."""
        return self.snakemake("--dry-run", *arguments).jobs - {"all"}

    def run(self, *arguments: str) -> set[str]:
        return self.snakemake(*arguments).jobs - {"all"}

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        file = self.folder / path
        before = file.read_text(encoding="utf-8")
        after = change(before)
        assert after != before
        file.write_text(after, encoding="utf-8")


def copy_sources(folder: Path) -> None:
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    shutil.copy2(REPOSITORY / "tests" / "data" / "tiny.yaml", folder / "tiny.yaml")
