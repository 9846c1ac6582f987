"""Training on a GPU: recorded steps, and runs that stop and continue, to the bit."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from mamba_narrative.config.architectures.mamba import MambaRun
from mamba_narrative.config.architectures.transformer import TransformerRun
from mamba_narrative.config.runs import RunSettings
from mamba_narrative.cuda.products import add_product_over_rows
from mamba_narrative.io import read_json
from mamba_narrative.training.run_training import train_run
from unit.training.tiny_run import DROPOUT, RECIPE, write_tokens

STEPS, KILLED_AT = 8, 5
KILLED = """
import os, signal, sys
from pathlib import Path
from mamba_narrative.training.loop import Trainer
from gpu.test_training_cuda import run_of
from mamba_narrative.io import read_json
from mamba_narrative.training.run_training import train_run
update = Trainer._update
def update_or_die(trainer):
    if trainer.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(trainer)
Trainer._update = update_or_die
run = run_of({architecture!r}, {order!r}, {graphs}, {recipe})
train_run("run", run, Path({tokens!r}), Path({output!r}), Path({state!r}))
"""


ARCHITECTURES = ["mamba", "transformer"]


def run_of(architecture: str, order: str, graphs: bool, recipe: Mapping[str, Any]) -> MambaRun | TransformerRun:
    transformer = {"n_head": 2, "context_length": 24}
    return RunSettings.model_validate(
        {
            "architecture": architecture,
            "model": {"d_model": 128, "n_layer": 2, **(transformer if architecture == "transformer" else {})},
            "training": {
                "steps": STEPS,
                "sequence_length": 24,
                "batch_size": 4,
                "micro_batch_size": 2,
                "order": order,
                "warmup_steps": 1,
                "learning_rate": 0.01,
                "validate_every_steps": 4,
                "checkpoint_every_steps": 3,
                "precision": "bfloat16",
                "device": "cuda",
                "cuda_graphs": graphs,
                **DROPOUT,
                **({"attention_dropout": 0.1} if architecture == "transformer" else {}),
                **recipe,
            },
        }
    ).root


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokens(tmp_path_factory.mktemp("tokens"))


def weights(output: Path) -> str:
    return hashlib.sha256((output / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize("recipe", [{}, RECIPE, {**RECIPE, "result": "last", "activation_checkpointing": True}])
@pytest.mark.parametrize("order", ["shuffled", "stateful"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_recorded_steps_and_killed_runs_end_with_the_same_weights(
    architecture: str, order: str, recipe: Mapping[str, Any], tokens: Path, tmp_path: Path
) -> None:
    ends = set()
    for graphs in (True, False):
        straight, killed, state = (tmp_path / f"{graphs}-{name}" for name in ("straight", "killed", "state"))
        assert (
            train_run(
                "run", run_of(architecture, order, graphs, recipe), tokens, straight, tmp_path / f"{graphs}-other"
            )
            == 0
        )
        program = KILLED.format(
            step=KILLED_AT,
            architecture=architecture,
            order=order,
            graphs=graphs,
            recipe=dict(recipe),
            tokens=str(tokens),
            output=str(killed),
            state=str(state),
        )
        folders = [path for path in sys.path if path]
        dead = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {folders!r}\n{program}"], capture_output=True, text=True
        )
        assert dead.returncode == -9, dead.stderr
        assert train_run("run", run_of(architecture, order, graphs, recipe), tokens, killed, state) == 0
        assert (killed / "train.csv").read_text().count("\n") == STEPS + 1
        assert read_json(killed / "run.json")["energy_kwh"] > 0
        ends |= {weights(straight), weights(killed)}
    assert len(ends) == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_dropped_depends_neither_on_the_device_nor_on_parts_nor_on_recomputation(
    architecture: str, tokens: Path, tmp_path: Path
) -> None:
    def losses(name: str, **training: object) -> list[float]:
        run = run_of(architecture, "shuffled", True, {"precision": "float32", "learning_rate": 0.002, **training})
        assert train_run("run", run, tokens, tmp_path / name, tmp_path / f"{name}-state") == 0
        with (tmp_path / name / "train.csv").open(encoding="utf-8", newline="") as stream:
            return [float(row["loss_nats"]) for row in csv.DictReader(stream)]

    expected = losses("cpu", device="cpu")
    assert losses("gpu") == pytest.approx(expected, rel=1e-4)
    assert losses("whole", micro_batch_size=4) == pytest.approx(expected, rel=1e-4)
    assert losses("recomputed", activation_checkpointing=True) == pytest.approx(expected, rel=1e-4)
    assert losses("other", seed=2) != pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_products_are_added_to_a_sum_in_float32(dtype: torch.dtype) -> None:
    generator = torch.Generator("cuda").manual_seed(1)
    a, b = (torch.randn(96, size, generator=generator, device="cuda").to(dtype) for size in (40, 24))
    total = torch.randn(40, 24, generator=generator, device="cuda")
    expected = total.double() + a.double().t() @ b.double()
    add_product_over_rows(total, a, b)
    torch.testing.assert_close(total.double(), expected, rtol=1e-5, atol=1e-4)
