from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.errors import UserError
from mamba_narrative.tokens.windows import WindowSampler
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.validation import Passage
from unit.training.stand_in import RecurrentModel, recurrent_model

CPU = Compute(torch.device("cpu"), torch.float32)
# 12 windows an epoch and 3 a step: 11 steps end in the middle of the third epoch.
SETTINGS = TrainingSettings(
    steps=11,
    sequence_length=16,
    batch_sequences=3,
    learning_rate=0.02,
    warmup_steps=2,
    validate_every_steps=4,
    checkpoint_every_steps=3,
    keep_checkpoints=2,
)
TIMING = ("tokens_per_second", "seconds")
Start = Callable[..., Trainer]


@pytest.fixture
def start(sampler: WindowSampler, passages: list[Passage], work: Path) -> Start:
    def begin(folder: Path = work, model: RecurrentModel | None = None, **changes: object) -> Trainer:
        chosen = SETTINGS.model_copy(update=changes)
        return Trainer(model or recurrent_model(dropout=0.2), chosen, sampler, passages, CPU, folder)

    return begin


def stop_after(checks: int) -> Callable[[], bool]:
    """Asks to stop from the given look on, wherever in the loop that falls."""
    looks = itertools.count(1)
    return lambda: next(looks) > checks


def never() -> bool:
    return False


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in trainer.model.named_parameters()}


def rows_without_times(path: Path) -> list[list[str]]:
    header, *rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [number for number, name in enumerate(header) if name not in TIMING]
    return [[row[number] for number in kept] for row in (header, *rows)]


def assert_same_outcome(found: Trainer, found_work: Path, expected: Trainer, expected_work: Path) -> None:
    for name, tensor in weights(expected).items():
        assert torch.equal(weights(found)[name], tensor), name
    for table in ("train.csv", "validation.csv"):
        assert rows_without_times(found_work / table) == rows_without_times(expected_work / table)
    assert found.tokens == expected.tokens


def test_a_run_lowers_the_loss_and_logs_every_step(start: Start, work: Path) -> None:
    trainer = start(steps=60, validate_every_steps=60, checkpoint_every_steps=60)
    assert trainer.run("test", never)
    rows = rows_without_times(work / "train.csv")[1:]
    assert [int(row[0]) for row in rows] == list(range(1, 61))
    losses = [float(row[3]) for row in rows]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


def test_an_epoch_of_steps_counts_every_token_once(start: Start, sampler: WindowSampler) -> None:
    trainer = start(steps=4)
    trainer.run("test", never)
    assert 4 * SETTINGS.batch_sequences == sampler.windows_per_epoch
    assert trainer.tokens == 138


def test_validations_come_at_their_interval_and_at_the_end(start: Start, work: Path) -> None:
    start().run("test", never)
    assert [row[0] for row in rows_without_times(work / "validation.csv")[1:]] == ["4", "8", "11"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(0, 12), max_size=4))
def test_a_stopped_and_continued_run_equals_an_uninterrupted_one_to_the_bit(
    start: Start, tmp_path: Path, stops: list[int]
) -> None:
    for name in ("straight", "stopped"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    straight = start(tmp_path / "straight")
    assert straight.run("test", never)
    for checks in stops:
        # Another initial model and another random state: everything must come from the checkpoint.
        torch.manual_seed(99)
        start(tmp_path / "stopped").run("test", stop_after(checks))
    last = start(tmp_path / "stopped")
    assert last.run("test", never)
    assert_same_outcome(last, tmp_path / "stopped", straight, tmp_path / "straight")


def test_initial_weights_do_not_matter_to_a_continued_run(start: Start, tmp_path: Path) -> None:
    straight = start(tmp_path / "straight")
    straight.run("test", never)
    start(tmp_path / "stopped").run("test", stop_after(9))
    continued = start(tmp_path / "stopped", model=recurrent_model(seed=77, dropout=0.2))
    assert continued.resumed == 1
    assert continued.step > 0
    continued.run("test", never)
    assert_same_outcome(continued, tmp_path / "stopped", straight, tmp_path / "straight")


def test_a_killed_run_continues_from_its_last_checkpoint_without_repeated_rows(start: Start, tmp_path: Path) -> None:
    straight = start(tmp_path / "straight")
    straight.run("test", never)

    class KilledError(Exception):
        pass

    looks = itertools.count(1)

    def kill() -> bool:
        if next(looks) > 12:
            raise KilledError
        return False

    killed = start(tmp_path / "killed")
    with pytest.raises(KilledError):
        killed.run("test", kill)
    continued = start(tmp_path / "killed")
    assert 0 < continued.step < killed.step
    continued.run("test", never)
    assert_same_outcome(continued, tmp_path / "killed", straight, tmp_path / "straight")


def test_a_torn_newest_checkpoint_falls_back_to_the_one_before(start: Start, tmp_path: Path) -> None:
    straight = start(tmp_path / "straight")
    straight.run("test", never)
    start(tmp_path / "torn").run("test", stop_after(16))
    newest = max((tmp_path / "torn" / "checkpoints").iterdir())
    (newest / "optimizer.safetensors").write_bytes((newest / "optimizer.safetensors").read_bytes()[:-100])
    continued = start(tmp_path / "torn")
    assert 0 < continued.step < int(newest.name.removeprefix("step-"))
    continued.run("test", never)
    assert_same_outcome(continued, tmp_path / "torn", straight, tmp_path / "straight")


def test_accumulated_gradients_are_those_of_the_full_batch(
    start: Start, tmp_path: Path, sampler: WindowSampler
) -> None:
    whole, parts = (
        start(tmp_path / name, model=recurrent_model().double(), micro_batch_sequences=size)
        for name, size in (("whole", None), ("parts", 1))
    )
    batch = sampler.batch(0, 12)
    tokens = int((batch.targets >= 0).sum())
    arrays = torch.from_numpy(batch.inputs), torch.from_numpy(batch.targets)
    losses = [trainer._accumulate_gradients(*arrays, tokens) for trainer in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)


def test_the_logged_loss_is_the_mean_over_unmasked_targets(start: Start, work: Path, sampler: WindowSampler) -> None:
    model = recurrent_model()
    batch = sampler.batch(0, SETTINGS.batch_sequences)
    with torch.no_grad():
        scores = model.logits(model(torch.from_numpy(batch.inputs))[0])
    expected = F.cross_entropy(scores.flatten(0, 1).double(), torch.from_numpy(batch.targets).flatten())
    start(model=model, steps=1, warmup_steps=0).run("test", never)
    assert float(rows_without_times(work / "train.csv")[1][3]) == pytest.approx(expected.item(), rel=1e-5)


def test_gradients_are_clipped_to_the_norm(start: Start) -> None:
    trainer = start(clip_grad_norm=1e-3, steps=1, warmup_steps=0)
    seen: list[float] = []

    def remember(optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
        gradients = [parameter.grad for parameter in trainer.model.parameters() if parameter.grad is not None]
        seen.append(math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients)))

    trainer.optimizer.register_step_pre_hook(remember)
    trainer.run("test", never)
    assert seen == [pytest.approx(1e-3, rel=1e-3)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_advice_and_leaves_the_weights(start: Start, value: float) -> None:
    trainer = start()
    with torch.no_grad():
        trainer.model.get_parameter("mixing.bias").fill_(value)
    before = weights(trainer)
    with pytest.raises(UserError, match=r"step 1: loss nan.*learning rate 0\.00667.*lower training\.learning_rate"):
        trainer.run("test", never)
    for name, tensor in before.items():
        torch.testing.assert_close(weights(trainer)[name], tensor, equal_nan=True, rtol=0, atol=0)


def test_checkpoints_of_another_model_are_refused_with_the_folder(start: Start, work: Path) -> None:
    start().run("test", stop_after(6))
    with pytest.raises(UserError, match="Delete this folder"):
        start(model=recurrent_model(d_model=8))


def test_no_more_checkpoints_are_kept_than_asked_for(start: Start, work: Path) -> None:
    start(keep_checkpoints=1, checkpoint_every_steps=2).run("test", never)
    assert [path.name for path in (work / "checkpoints").iterdir()] == ["step-000000011"]
