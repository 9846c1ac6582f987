"""Two GPUs: gradients that are added up within recorded steps are those of steps that are not recorded."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mamba_narrative.config.architectures.mamba import MambaRun
from mamba_narrative.io import read_json
from unit.training.tiny_run import write_tokens
from unit.training.torchrun import ROOT, by_two_processes

TIMEOUT_SECONDS, FROZEN_SECONDS = 45, 150
pytestmark = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


def run_of(**training: object) -> MambaRun:
    recipe = {
        "steps": 8, "sequence_length": 24, "batch_size": 4, "warmup_steps": 1, "learning_rate": 0.003,
        "validate_every_steps": 4, "checkpoint_every_steps": 3, "precision": "bfloat16", "device": "cuda",
        "processes": 2,
    }  # fmt: skip
    # Large enough for several buckets.
    model = {"d_model": 512, "n_layer": 12}
    return MambaRun.model_validate({"architecture": "mamba", "model": model, "training": recipe | training})


def weights(tokens: Path, folder: Path, **training: object) -> str:
    command = [sys.executable, str(ROOT / "scripts" / "train_run.py"), "--run", "two"]
    command += ["--settings", run_of(**training).model_dump_json(), "--tokens", str(tokens)]
    command += ["--output", str(folder / "output"), "--state-directory", str(folder / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "cannot be recorded" not in done.stderr, done.stderr
    assert read_json(folder / "output" / "run.json")["processes"] == 2
    return hashlib.sha256((folder / "output" / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(("order", "micro_batch", "reduction"), [
    ("shuffled", 1, "float32"), ("shuffled", 2, "bfloat16"), ("stateful", 1, "bfloat16"), ("stateful", 2, "float32"),
])  # fmt: skip
def test_recorded_steps_of_two_gpus_end_with_the_same_weights(
    order: str, micro_batch: int, reduction: str, tmp_path: Path
) -> None:
    tokens = write_tokens(tmp_path)
    training = {"order": order, "micro_batch_size": micro_batch, "reduce_dtype": reduction}
    recorded, plain = (
        weights(tokens, tmp_path / str(graphs), cuda_graphs=graphs, **training) for graphs in (True, False)
    )
    assert recorded == plain


def test_a_process_that_stands_still_ends_the_recorded_step_of_the_other(tmp_path: Path) -> None:
    done = by_two_processes(
        str(Path(__file__).with_name("frozen_worker.py")), str(write_tokens(tmp_path)), str(tmp_path)
    )
    assert "the steps are not recorded" not in done.stderr
    # Without the timeout it would be waited for, and the run would end well.
    assert done.returncode != 0
    assert "Watchdog caught collective operation timeout" in done.stderr
