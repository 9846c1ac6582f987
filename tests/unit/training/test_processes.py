"""Several processes compute what one computes, and any number of them continues a run."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from mamba_narrative.errors import UserError
from mamba_narrative.training.processes import Processes
from mamba_narrative.training.run_training import train_run
from unit.training.tiny_run import RECIPE, settings_of
from unit.training.torchrun import ROOT, by_two_processes


def losses_of(folder: Path) -> list[float]:
    """Of all steps and all validations, those of an average too."""
    found = []
    for table in ("train.csv", "validation.csv"):
        with (folder / table).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        found += [float(row[name]) for row in rows for name in row if name.endswith("loss_nats")]
    return found


def assert_same_run(found: Path, expected: Path) -> None:
    assert losses_of(found) == pytest.approx(losses_of(expected), rel=1e-5)
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (found, expected))
    for name, tensor in one.items():
        assert (tensor - other[name]).abs().max() < 1e-4, name


@pytest.fixture(
    params=[pytest.param({"order": "shuffled"}, marks=pytest.mark.slow), {"order": "stateful", **RECIPE}],
    ids=["shuffled", "stateful, other recipe"],
)
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"steps": 6, "batch_size": 4, **request.param}


@pytest.fixture
def alone(settings: dict[str, Any], tokens: Path, tmp_path: Path) -> Path:
    assert train_run("tiny", settings_of(**settings), tokens, tmp_path / "alone", tmp_path / "alone-state") == 0
    return tmp_path / "alone"


# Stopped: the state after that step; lost: the last checkpoint.
NEWEST = {"stop": "step-000000004", "stop at the end": "step-000000006", "lost": "step-000000002"}


@pytest.mark.parametrize("event", ["none", *NEWEST])
def test_two_processes_train_as_one_and_one_continues_what_two_left(
    settings: dict[str, Any], event: str, alone: Path, tokens: Path, tmp_path: Path
) -> None:
    done = by_two_processes("torchrun_worker.py", str(tokens), str(tmp_path), json.dumps(settings), event)
    if event == "none":
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode != 0
        # At the end only the second process is asked to stop, while the first one writes.
        assert (tmp_path / "output").exists() == (event == "stop at the end")
        (newest,) = (max(folder.iterdir()) for folder in tmp_path.glob("state/*/checkpoints"))
        assert newest.name == NEWEST[event]
        assert train_run("tiny", settings_of(**settings), tokens, tmp_path / "output", tmp_path / "state") == 0
    assert_same_run(tmp_path / "output", alone)


@pytest.mark.slow
def test_two_processes_continue_what_two_left_to_the_bit(tokens: Path, tmp_path: Path) -> None:
    settings = json.dumps({"steps": 6, "batch_size": 4, "order": "stateful", **RECIPE})
    ends = []
    for events in (["none"], ["stop", "none"]):
        root = tmp_path / events[0]
        for event in events:
            done = by_two_processes("torchrun_worker.py", str(tokens), str(root), settings, event)
            assert (done.returncode == 0) == (event == "none"), done.stderr
        ends.append((losses_of(root / "output"), (root / "output" / "model" / "model.safetensors").read_bytes()))
    assert ends[0] == ends[1]


def by_the_command(tokens: Path, output: Path, **settings: object) -> list[float]:
    """The losses of a run of ``scripts/train_run.py``."""
    run = settings_of(batch_size=2, processes=2, **settings)
    command = [sys.executable, str(ROOT / "scripts" / "train_run.py"), "--run", "tiny"]
    command += ["--settings", run.model_dump_json(), "--tokens", str(tokens)]
    command += ["--output", str(output), "--state-directory", str(output.with_name(f"{output.name}-state"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return losses_of(output)


def test_the_command_starts_as_many_processes_as_the_settings_say(tokens: Path, tmp_path: Path) -> None:
    exact = by_the_command(tokens, tmp_path / "output")
    assert json.loads((tmp_path / "output" / "run.json").read_text(encoding="utf-8"))["processes"] == 2
    assert train_run("tiny", settings_of(batch_size=2), tokens, tmp_path / "alone", tmp_path / "alone-state") == 0
    assert_same_run(tmp_path / "output", tmp_path / "alone")
    # Gradients may travel in bfloat16, which rounds their sums.
    rounded = by_the_command(tokens, tmp_path / "rounded", reduce_dtype="bfloat16")
    assert rounded == pytest.approx(exact, rel=1e-2)
    assert rounded != exact


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    processes = Processes(device=None)  # type: ignore[arg-type]
    assert processes.rows(12) == slice(4, 8)
    with pytest.raises(UserError, match=r"training\.batch_size is 4, which 3 processes cannot share evenly"):
        processes.rows(4)
