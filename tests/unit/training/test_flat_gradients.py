"""Sums over processes that start before the backward pass ends are those that start after it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.io import read_json
from mamba_narrative.tokens.batches import ShuffledBatches
from mamba_narrative.training import flat_gradients, gradients
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.flat_gradients import FlatGradients
from mamba_narrative.training.optimizer import Optimizer
from mamba_narrative.training.processes import Processes
from unit.training.peak_memory import PeakMemory
from unit.training.stand_in import recurrent_model
from unit.training.torchrun import by_two_processes

CPU = Compute(torch.device("cpu"), torch.float32)
ROWS = 4
# What uses a parameter (both processes, none, the first), rows computed at once, what travels.
CASES = ["both-4-float32", "both-1-float32", "both-3-bfloat16", "none-2-float32", "first-4-float32"]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sums")
    done = by_two_processes("sums_worker.py", str(folder), *CASES)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_summed_after_the_backward_pass(case: str, computed: Path) -> None:
    users, micro_batch, _ = case.split("-")
    folder = computed / case
    results = [load_file(folder / f"{rank}-found.safetensors") for rank in range(2)]
    for rank, found in enumerate(results):
        for name, expected in load_file(folder / f"{rank}-expected.safetensors").items():
            assert torch.equal(found[name], expected), (rank, name)
            assert torch.equal(found[name], results[0][name]), name
    assert results[0]["mixing.extra"].any() == (users != "none")
    assert results[0]["embedding.weight"].any()
    for rank in range(2):
        counts = read_json(folder / f"{rank}.json")
        parts = -(-ROWS // int(micro_batch))
        buckets = counts["started"] // 2
        assert buckets > 3
        before_last = counts["seen"][parts - 1]  # when the backward pass comes to its last gradient
        assert counts["seen"][: parts - 1] == [0] * (parts - 1), "sums begin with the last part"
        assert len(counts["seen"]) == 2 * parts
        # What lies behind a parameter without gradient waits for the end.
        assert before_last == (buckets - 1 if users == "both" or (users == "first" and rank == 0) else 1)


class Noted:
    """In place of two processes: what was summed, in their order."""

    count = 2

    def __init__(self) -> None:
        self.sums: list[Tensor] = []

    def start_sum(self, values: Tensor) -> Noted:
        self.sums.append(values)
        return self

    def wait(self) -> None:
        pass


@pytest.fixture
def parameters() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(size)) for size in (600, 5, 70, 64, 1)]


def test_buckets_hold_every_gradient_once_and_keep_large_ones_apart(
    parameters: list[torch.nn.Parameter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat_gradients, "BUCKET_BYTES", 256 * 4)
    processes = Noted()
    flat = FlatGradients(parameters, processes)  # type: ignore[arg-type]
    flat.begin()
    with flat.summed():
        pass
    assert [len(values) for values in processes.sums] == [64 + 64 + 128, 64, 640]
    for values in processes.sums:
        values.add_(1)
    assert all(parameter.grad is not None and parameter.grad.eq(1).all() for parameter in parameters)


def test_a_gradient_that_changes_after_its_sum_has_started_is_an_error(parameters: list[torch.nn.Parameter]) -> None:
    flat = FlatGradients(parameters, Noted())  # type: ignore[arg-type]
    flat.begin()
    with pytest.raises(RuntimeError, match="changed after its sum"), flat.summed():
        for _ in range(2):
            torch.cat(tuple(parameters)).sum().backward()
    with flat.summed():  # the hooks of before are gone
        torch.cat(tuple(parameters)).sum().backward()


def test_what_nothing_uses_is_updated_by_one_process_as_by_several(batches: ShuffledBatches) -> None:
    settings = TrainingSettings(batch_size=3, weight_decay=0.5, learning_rate=0.1)
    updated = []
    for processes in (Processes(CPU.device), Noted()):
        model = recurrent_model()
        model.mixing.register_parameter("unused", torch.nn.Parameter(torch.ones(3, 4)))
        optimizer = Optimizer(model, settings)
        gradients.GradientSum(model, CPU, processes=processes).add(batches.batch(0), None, 40, 3)  # type: ignore[arg-type]
        optimizer.step(settings.learning_rate, settings.weight_decay)
        updated.append(model.state_dict())
    alone, together = updated
    for name, tensor in alone.items():
        assert torch.equal(tensor, together[name]), name
    torch.testing.assert_close(alone["mixing.unused"], torch.full((3, 4), 0.95))  # weight decay is all there is


def test_one_process_needs_none_of_this(batches: ShuffledBatches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(gradients, "FlatGradients")
    gradients.GradientSum(recurrent_model(), CPU).add(batches.batch(0), None, 40, micro_batch=1)


@pytest.mark.parametrize("reduction", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("micro_batch", [1, 3])
def test_a_trial_takes_the_memory_of_an_update_of_several_processes(
    reduction: torch.dtype, micro_batch: int, batches: ShuffledBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat_gradients, "BUCKET_BYTES", 512)
    peaks = {}
    for trial in (True, False):
        model, processes = recurrent_model(d_model=256), Noted()
        gradient_sum = gradients.GradientSum(model, CPU, processes=processes, reduction=reduction)  # type: ignore[arg-type]
        with PeakMemory() as peak:
            gradient_sum.add(batches.batch(0), None, 40, micro_batch, trial)
        peaks[trial] = peak.bytes
        assert bool(processes.sums) != trial
    assert peaks[True] == peaks[False]
