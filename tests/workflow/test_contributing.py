"""The examples of CONTRIBUTING.md work: made in a copy of the project, they train, are measured, drawn and reported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from workflow_project import REPOSITORY, Project

from mamba_narrative.io import read_json

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

BLOCKS = re.findall(
    r"^```(python|diff|rst)\n# (?:new: )?(\S+)\n(.*?)^```$", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.M | re.S
)
READS_IN_PIECES = """
import sys, torch
sys.path.insert(0, "scripts")
from mamba_narrative.config.architectures.gru import GruSettings
from mamba_narrative.model.registry import build_model
model = build_model("gru", GruSettings(d_model=16), 101, seed=1)
ids, resets = torch.arange(24).view(2, 12) % 101, torch.zeros(2, 12, dtype=torch.bool)
resets[0, 5] = resets[1, 7] = True
whole = model(ids, None, resets)[0]
first, state = model(ids[:, :4], None, resets[:, :4])
rest = model(ids[:, 4:], state, resets[:, 4:])[0]
torch.testing.assert_close(torch.cat([first, rest], dim=1), whole)
torch.testing.assert_close(model(ids[:1, 5:])[0], whole[:1, 5:])
"""


def apply(folder: Path) -> None:
    """Write new files, and replace what the lines of each diff say; every place must be found exactly once."""
    for kind, path, body in BLOCKS:
        file = folder / path
        if kind != "diff":
            file.write_text(body, encoding="utf-8")
            continue
        lines = body.splitlines()
        before, after = ("\n".join(line[1:] for line in lines if line[:1] in signs) for signs in (" -", " +"))
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{path}: {before}"
        file.write_text(text.replace(before, after), encoding="utf-8")


def test_all_examples_are_there():
    assert [path.rpartition("/")[2] for kind, path, _ in BLOCKS if kind != "diff"] == [
        *("gru.py", "gru.py", "book_lengths.py", "book_lengths.rst")
    ]
    assert len(BLOCKS) == 9


def test_a_new_architecture_a_new_measure_and_a_new_figure_go_the_whole_way(project: Project):
    apply(project.folder)
    done = subprocess.run([sys.executable, "-c", READS_IN_PIECES], cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    project.edit(
        "tiny.yaml",
        lambda text: text.replace(
            "  tiny-b:\n    architecture: transformer", "  tiny-b:\n    architecture: gru"
        ).replace("model: {d_model: 16, n_layer: 1, context_length: 32}", "model: {d_model: 16, n_layer: 1}"),
    )
    project.run("report", "models")
    results = project.folder / "results"
    assert read_json(results / "runs" / "tiny-b" / "run.json")["architecture"] == "gru"
    for run in ("tiny-a", "tiny-b", "human"):
        measured = read_json(results / "evaluation" / run / "generation.json")["metrics"]["word_letters"]
        assert measured["n"] > 0
        assert 1 < measured["value"] < 20
    page = (results / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="definition-word_letters"' in page
    assert "Histogram: numbers of selected books by their words." in page
    assert page.count('src="data:image/svg+xml') == 7
    assert (results / "report" / "figures" / "book_lengths.png").is_file()
    card = (results / "models" / "tiny-b" / "README.md").read_text(encoding="utf-8")
    assert "does not have this architecture" in card
    assert "Letters of a word" in card
