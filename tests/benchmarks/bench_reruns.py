"""Jobs that run again after a change, on a finished sample: by this code, and by that of another commit.

Each change is made in a copy of the finished results and planned in a dry-run. Where the other commit knows a setting
by another name, that is used; a change of a file that it does not have is made where the same text or code was.

    python tests/benchmarks/bench_reruns.py [--against 04c7e91]
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "tests" / "workflow")]

from changes import CHANGES, GRU, LIBRARY, Edits, apply, code  # noqa: E402
from workflow_project import Project, copy_sources  # noqa: E402

from mamba_narrative.config.renamed import RENAMED  # noqa: E402

INSTEAD: dict[str, Edits] = {
    # One more architecture was a line in the registry, and the card a function of the training.
    "an architecture that no run names": {f"{LIBRARY}/model/registry.py": code},
    "the text of the model card": {
        f"{LIBRARY}/reporting/model_card.py": lambda text: re.sub(r"(?i)the books are old", "Old books", text)
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="a commit, for a column of its own")
    against = parser.parse_args().against
    with tempfile.TemporaryDirectory() as folder:
        columns = {"now": reruns(Path(folder) / "now", copy_sources, lambda name: CHANGES[name][0])}
        if against:
            columns[against] = reruns(Path(folder) / "then", lambda place: sources_of(against, place), earlier)
    print(f"| change | {' | '.join(columns)} | right |")
    print(f"|---|{'---|' * (len(columns) + 1)}")
    for change, (_, expected) in CHANGES.items():
        cells = [described(column[change]) for column in columns.values()]
        print(f"| {change} | {' | '.join(cells)} | {described(expected)} |")


def reruns(place: Path, copy: Callable[[Path], None], edits_of: Callable[[str], Edits]) -> dict[str, set[str] | None]:
    """The jobs after each change; None where it cannot be made."""
    finished = Project(place / "finished")
    finished.folder.mkdir(parents=True)
    copy(finished.folder)
    finished.snakemake()
    found: dict[str, set[str] | None] = {}
    for change in CHANGES:
        # The same path each time: earlier code kept its record by path.
        shutil.move(finished.folder, place / "kept")
        shutil.copytree(place / "kept", finished.folder, symlinks=True)
        project = Project(finished.folder)
        try:
            edits = edits_of(change)
            # But for new files, a change of what is not there is none.
            absent = [path for path in edits if not (project.folder / path).exists() and path not in GRU]
            if not absent:
                apply(edits, project.folder)
            found[change] = None if absent else project.plan()
        except AssertionError:
            found[change] = None
        shutil.rmtree(finished.folder)
        shutil.move(place / "kept", finished.folder)
    return found


def sources_of(commit: str, place: Path) -> None:
    """Those of a commit, with the tiny experiment that its tests ran."""
    archive = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", str(place)], input=archive, check=True)
    shutil.copy2(place / "tests" / "data" / "tiny.yaml", place / "tiny.yaml")


def earlier(change: str) -> Edits:
    """A change under the names of earlier code."""
    old = {new: name for name, new in RENAMED.items() if name != "batch_sequences"}

    def with_old_names(edit: Callable[[str], str]) -> Callable[[str], str]:
        def edited(text: str) -> str:
            kept = set(text.splitlines())
            return "\n".join(
                line if line in kept else re.sub(r"\w+", lambda word: old.get(word[0], word[0]), line)
                for line in edit(text).splitlines()
            )

        return edited

    edits = INSTEAD.get(change, CHANGES[change][0])
    return {path: with_old_names(edit) if path == "tiny.yaml" else edit for path, edit in edits.items()}


def described(jobs: set[str] | None) -> str:
    """``train_run and 11 more``: trainings first."""
    if jobs is None:
        return "-"
    if not jobs:
        return "nothing"
    trainings = sum(job.startswith("train_run") for job in jobs)
    others = sorted(jobs - {job for job in jobs if job.startswith("train_run")})
    if trainings:
        return f"{len(jobs)} jobs, {trainings} of them trainings"
    return ", ".join(others) if len(others) <= 4 else f"{len(jobs)} jobs"


if __name__ == "__main__":
    main()
