from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.errors import UserError
from mamba_narrative.tokens.batches import Rows, ShuffledBatches, StatefulBatches
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.gradients import Accumulated, GradientSum
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.validation import Opening, openings_sha256, validate
from unit.training.stand_in import RecurrentModel, recurrent_model

CPU = Compute(torch.device("cpu"), torch.float32)
# 12 windows an epoch and 3 a step: 11 steps end in the middle of the third epoch.
SETTINGS = TrainingSettings(
    steps=11,
    sequence_length=16,
    batch_size=3,
    learning_rate=0.02,
    warmup_steps=2,
    validate_every_steps=4,
    checkpoint_every_steps=3,
    keep_checkpoints=2,
)
TIMING = ("tokens_per_second", "seconds")
Start = Callable[..., Trainer]


@pytest.fixture
def start(batches: ShuffledBatches, stateful: StatefulBatches, openings: list[Opening], folder: Path) -> Start:
    def begin(
        folder: Path = folder,
        model: RecurrentModel | None = None,
        openings: list[Opening] = openings,
        **changes: object,
    ) -> Trainer:
        chosen = SETTINGS.model_copy(update=changes)
        data = stateful if chosen.order == "stateful" else batches
        return Trainer(model or recurrent_model(dropout=0.2), chosen, data, openings, CPU, folder)

    return begin


def stop_after(checks: int) -> Callable[[], bool]:
    """Asks to stop from the given look on, wherever in the loop that falls."""
    looks = itertools.count(1)
    return lambda: next(looks) > checks


def never() -> bool:
    return False


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in trainer.model.named_parameters()}


def average(trainer: Trainer) -> dict[str, Tensor]:
    assert trainer.average is not None
    return {name: tensor.clone() for name, tensor in trainer.average.named_parameters()}


def after_each_update(trainer: Trainer, seen: Callable[[Trainer], object]) -> list[Any]:
    """What ``seen`` says of the trainer after each of its steps, once it has run."""
    update, found = trainer._update, []

    def noted() -> str:
        note = update()
        found.append(seen(trainer))
        return note

    trainer._update = noted
    return found


def rows_without_times(path: Path) -> list[list[str]]:
    header, *rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [number for number, name in enumerate(header) if name not in TIMING]
    return [[row[number] for number in kept] for row in (header, *rows)]


def assert_same_outcome(found: Trainer, found_in: Path, expected: Trainer, expected_in: Path) -> None:
    for name, tensor in weights(expected).items():
        assert torch.equal(weights(found)[name], tensor), name
    if expected.average:
        for name, tensor in average(expected).items():
            assert torch.equal(average(found)[name], tensor), name
    for table in ("train.csv", "validation.csv"):
        assert rows_without_times(found_in / table) == rows_without_times(expected_in / table)
    assert found.tokens == expected.tokens


def test_a_run_lowers_the_loss_and_logs_every_step(start: Start, folder: Path) -> None:
    trainer = start(steps=60, validate_every_steps=60, checkpoint_every_steps=60)
    assert trainer.run("test", never)
    rows = rows_without_times(folder / "train.csv")[1:]
    assert [int(row[0]) for row in rows] == list(range(1, 61))
    losses = [float(row[3]) for row in rows]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


def test_an_epoch_of_steps_counts_every_token_once(start: Start, batches: ShuffledBatches) -> None:
    trainer = start(steps=4)
    trainer.run("test", never)
    assert batches.epochs(4) == 1
    assert trainer.tokens == 138


def test_validations_come_at_their_interval_and_at_the_end(start: Start, folder: Path) -> None:
    start().run("test", never)
    assert [row[0] for row in rows_without_times(folder / "validation.csv")[1:]] == ["4", "8", "11"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.integers(0, 12), max_size=4),
    changes=st.fixed_dictionaries(
        {
            "order": st.sampled_from(["shuffled", "stateful"]),
            "optimizer": st.sampled_from(["adamw", "muon"]),
            "ema_decay": st.sampled_from([None, 0.7]),
            "weight_decay_schedule": st.sampled_from([((0.0, 1.0),), ((0.0, 5.0), (1.0, 0.0))]),
        }
    ),
)
def test_a_stopped_and_continued_run_equals_an_uninterrupted_one_to_the_bit(
    start: Start, tmp_path: Path, stops: list[int], changes: dict[str, Any]
) -> None:
    for name in ("straight", "stopped"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    straight = start(tmp_path / "straight", **changes)
    assert straight.run("test", never)
    for checks in stops:
        # Another initial model and another random state: everything must come from the checkpoint.
        torch.manual_seed(99)
        start(tmp_path / "stopped", **changes).run("test", stop_after(checks))
    last = start(tmp_path / "stopped", **changes)
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


@pytest.mark.parametrize("order", ["shuffled", "stateful"])
def test_accumulated_gradients_are_those_of_the_full_batch(
    batches: ShuffledBatches, stateful: StatefulBatches, order: str
) -> None:
    rows = (stateful if order == "stateful" else batches).batch(0)
    tokens = int((rows.targets >= 0).sum())
    models = [recurrent_model().double() for _ in range(2)]
    whole, parts = (
        GradientSum(model, CPU).add(rows, None, tokens, size) for model, size in zip(models, (3, 1), strict=True)
    )
    assert whole.loss_nats().item() == pytest.approx(parts.loss_nats().item(), rel=1e-12)
    torch.testing.assert_close(whole.state, parts.state)
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)


def test_processes_share_a_batch_to_the_same_gradient(batches: ShuffledBatches) -> None:
    rows = batches.batch(0)
    tokens = int((rows.targets >= 0).sum())
    whole, shared = recurrent_model().double(), recurrent_model().double()
    GradientSum(whole, CPU).add(rows, None, tokens, 3)
    for row in range(3):
        GradientSum(shared, CPU).add(rows.part(slice(row, row + 1)), None, tokens, 3)
    for one, other in zip(whole.parameters(), shared.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)


def test_random_numbers_depend_on_seed_step_and_process(start: Start, tmp_path: Path) -> None:
    def drawn(seed: int, rank: int) -> list[float]:
        trainer = start(tmp_path / f"{seed}-{rank}", seed=seed, steps=3)
        trainer.processes.rank = rank
        numbers, gradients = [], trainer._gradients

        def draw(rows: Rows, tokens: int) -> Accumulated:
            numbers.append(torch.rand(()).item())
            return gradients(rows, tokens)

        trainer._gradients = draw
        trainer.run("test", never)
        return numbers

    found = [drawn(seed, rank) for seed, rank in ((1, 0), (1, 1), (2, 0))]
    assert len({number for numbers in found for number in numbers}) == 9
    shutil.rmtree(tmp_path / "1-1")
    assert drawn(1, 1) == found[1]


def test_state_is_carried_from_step_to_step_without_gradient(start: Start, stateful: StatefulBatches) -> None:
    model = recurrent_model()
    trainer = start(model=model, order="stateful", steps=3, learning_rate=1e-12)
    trainer.run("test", never)
    state = None
    with torch.no_grad():
        for step in range(3):
            rows = stateful.batch(step)
            _, state = model(torch.from_numpy(rows.inputs), state, torch.from_numpy(rows.resets))
    assert trainer._state is not None
    assert not trainer._state["h"].requires_grad
    torch.testing.assert_close(trainer._state["h"], state["h"])


def test_the_logged_loss_is_the_mean_over_unmasked_targets(
    start: Start, folder: Path, batches: ShuffledBatches
) -> None:
    model = recurrent_model()
    batch = batches.batch(0)
    with torch.no_grad():
        scores = model.logits(model(torch.from_numpy(batch.inputs))[0])
    expected = F.cross_entropy(scores.flatten(0, 1).double(), torch.from_numpy(batch.targets).flatten())
    start(model=model, steps=1, warmup_steps=0).run("test", never)
    assert float(rows_without_times(folder / "train.csv")[1][3]) == pytest.approx(expected.item(), rel=1e-5)


def test_gradients_are_clipped_to_the_norm(start: Start) -> None:
    trainer = start(max_grad_norm=1e-3, steps=1, warmup_steps=0)
    seen: list[float] = []

    def remember(optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
        gradients = [parameter.grad for parameter in trainer.model.parameters() if parameter.grad is not None]
        seen.append(math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients)))

    trainer.optimizer.adamw.register_step_pre_hook(remember)
    trainer.run("test", never)
    assert seen == [pytest.approx(1e-3, rel=1e-3)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_advice_and_leaves_the_weights(start: Start, value: float) -> None:
    trainer = start(max_skipped_steps=0)
    with torch.no_grad():
        trainer.model.get_parameter("mixing.bias").fill_(value)
    before = weights(trainer)
    message = r"step 1: loss nan.*learning rate 0\.00667.*Books of the batch: \d.*lower training\.learning_rate"
    with pytest.raises(UserError, match=message):
        trainer.run("test", never)
    for name, tensor in before.items():
        torch.testing.assert_close(weights(trainer)[name], tensor, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_step_that_explodes_is_skipped_and_counted(start: Start, folder: Path, optimizer: str) -> None:
    trainer = start(order="stateful", steps=6, optimizer=optimizer, ema_decay=0.5)

    def everything(trainer: Trainer) -> dict[str, Tensor]:
        optimizer = {key: tensor.clone() for key, tensor in trainer.optimizer.tensors().items()}
        return {**weights(trainer), **optimizer, **{f"{name} of ema": part for name, part in average(trainer).items()}}

    states = after_each_update(trainer, everything)
    healthy = trainer._gradients

    def explode(rows: Rows, tokens: int) -> Accumulated:
        found = healthy(rows, tokens)
        if trainer.step == 2:
            next(trainer.model.parameters()).grad.fill_(float("inf"))
            return replace(found, state={name: tensor * torch.nan for name, tensor in found.state.items()})
        return found

    trainer._gradients = explode
    assert trainer.run("test", never)
    skipped = [int(row[6]) for row in rows_without_times(folder / "train.csv")[1:]]
    assert skipped == [0, 0, 1, 1, 1, 1]
    assert all(torch.isfinite(tensor).all() for tensor in weights(trainer).values())
    assert torch.isfinite(trainer._state["h"]).all()
    assert all(torch.equal(states[2][key], tensor) for key, tensor in states[1].items())
    assert not any(torch.equal(states[3][key], tensor) for key, tensor in states[1].items())


def test_a_limit_on_the_gradient_norm_skips_steps_until_too_many_end_the_run(start: Start, folder: Path) -> None:
    trainer = start(skip_grad_norm=1e-9, max_skipped_steps=2)
    before = weights(trainer)
    with pytest.raises(UserError, match=r"step 3: .*3 steps in a row had to be skipped"):
        trainer.run("test", never)
    assert all(torch.equal(weights(trainer)[name], tensor) for name, tensor in before.items())


def test_a_run_ends_where_validation_stops_getting_better(start: Start, folder: Path) -> None:
    trainer = start(steps=40, learning_rate=1e-30, validate_every_steps=2, early_stopping_patience=3)
    assert trainer.run("test", never)
    assert [row[0] for row in rows_without_times(folder / "validation.csv")[1:]] == ["2", "4", "6", "8"]
    again = start(steps=40, learning_rate=1e-30, validate_every_steps=2, early_stopping_patience=3)
    assert again.run("test", never)
    assert again.step == 8


def test_the_best_weights_come_back(start: Start, folder: Path) -> None:
    trainer = start(steps=8, validate_every_steps=2, result="best")
    found = {}
    validate = trainer._validate

    def remember(should_stop: Callable[[], bool]) -> None:
        validate(should_stop)
        found[trainer.step] = weights(trainer)

    trainer._validate = remember
    trainer.run("test", never)
    losses = trainer.validation_log.column("loss_nats")
    best = 2 * (1 + losses.index(min(losses)))
    assert trainer.load_result() == best
    assert all(torch.equal(weights(trainer)[name], tensor) for name, tensor in found[best].items())


def test_the_average_is_the_weighted_mean_of_the_weights_after_each_update(start: Start) -> None:
    trainer = start(ema_decay=0.8)
    seen = after_each_update(trainer, weights)
    assert trainer.run("test", never)
    shares = torch.tensor([0.8**age for age in reversed(range(len(seen)))], dtype=torch.float64)
    shares /= shares.sum()
    for name, tensor in average(trainer).items():
        expected = sum(share * step[name].double() for share, step in zip(shares, seen, strict=True))
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_average_is_validated_beside_the_weights_and_leaves_them_alone(start: Start, tmp_path: Path) -> None:
    plain = start(tmp_path / "plain")
    plain.run("test", never)
    averaged = start(tmp_path / "averaged", ema_decay=0.8)  # dropout draws from the seed that this sets
    averaged.run("test", never)
    for name, tensor in weights(plain).items():
        assert torch.equal(weights(averaged)[name], tensor), name
    columns = {name: averaged.validation_log.column(name) for name in averaged.validation_log.columns}
    assert tuple(columns) == (*plain.validation_log.columns, "ema_loss_nats", "ema_bits_per_byte")
    for name in plain.validation_log.columns:
        assert columns[name] == plain.validation_log.column(name)
    assert averaged.average is not None
    found = validate(averaged.average, averaged.openings, averaged.batches.end_of_text_id, CPU, never)
    assert found is not None
    assert columns["ema_loss_nats"][-1] == pytest.approx(found.loss_nats, rel=1e-6)
    assert columns["ema_loss_nats"][-1] != columns["loss_nats"][-1]


def test_the_average_may_be_the_result_and_then_decides_when_a_run_ends(start: Start, folder: Path) -> None:
    trainer = start(steps=40, validate_every_steps=2, ema_decay=0.8, result="ema", early_stopping_patience=2)
    # The weights get better and better, their average does not.
    for step, (loss, of_average) in enumerate([(3.0, 2.0), (2.9, 2.1), (2.8, 2.2)], 1):
        values = {"loss_nats": loss, "bits_per_byte": 1.0, "ema_loss_nats": of_average, "ema_bits_per_byte": 1.0}
        assert not trainer.is_finished()
        trainer.validation_log.append({"step": step, "tokens": 1, **values})
    assert trainer.is_finished()
    trainer._update()
    expected = average(trainer)
    assert trainer.load_result() == 1
    assert all(torch.equal(weights(trainer)[name], tensor) for name, tensor in expected.items())


def test_the_schedule_ends_where_a_run_of_epochs_ends(start: Start) -> None:
    trainer = start(steps=None, epochs=2.5, schedule="wsd", decay_ratio=0.5, min_lr_ratio=0.0)
    assert trainer.run("test", never)
    rates = trainer.train_log.column("learning_rate")
    assert (trainer.step, len(rates)) == (10, 10)
    assert (rates[4], rates[-1]) == (pytest.approx(0.02), 0)


def forget_passages(trainer: Trainer) -> None:
    """Make the newest checkpoint one of code that did not note them."""
    checkpoint = trainer.store.newest()
    state = json.loads(checkpoint.texts["state.json"])
    del state["openings_sha256"]
    trainer.store.save(replace(checkpoint, texts={**checkpoint.texts, "state.json": json.dumps(state)}))


@pytest.mark.parametrize("before", ["other openings", "openings that the checkpoint does not name"])
def test_validations_of_other_passages_are_not_compared(
    start: Start, folder: Path, openings: list[Opening], before: str, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = {"steps": 12, "validate_every_steps": 2, "result": "best", "early_stopping_patience": 2}
    first = start(**chosen)
    # Lower than any to come: compared with them it would stay the best, and end the run.
    first.validation_log.append({"step": 1, "tokens": 1, "loss_nats": 0.01, "bits_per_byte": 0.01})
    first.is_finished = lambda: first.step == 5
    assert first.run("test", never)
    changed = before == "other openings"
    if not changed:
        forget_passages(first)
    second = start(openings=openings[1:] if changed else openings, **chosen)
    assert f"the validations up to step 5 are of {before} and cannot be compared" in caplog.text
    assert second.step == 5
    assert second.run("test", never)
    steps = [int(row[0]) for row in rows_without_times(folder / "validation.csv")[1:]]
    assert steps[:3] == [6, 8, 10]
    assert second.load_result() in steps
    caplog.clear()
    start(openings=openings[1:] if changed else openings, **chosen)
    assert "cannot be compared" not in caplog.text


def test_passages_differ_in_their_hash_where_validations_may_differ(openings: list[Opening]) -> None:
    first, *others = openings
    longer = replace(first, ids=np.append(first.ids, first.ids[-1:]))
    changes = [others, [longer, *others], [replace(first, bytes=first.bytes + 1), *others]]
    assert len({openings_sha256(chosen) for chosen in (openings, *changes)}) == 4
    assert openings_sha256([replace(first, ids=first.ids.copy()), *others]) == openings_sha256(openings)


def test_checkpoints_at_chosen_steps_are_kept_for_good(start: Start, folder: Path) -> None:
    trainer = start(keep_checkpoints=1, keep_every_steps=4)
    trainer.run("test", never)
    names = [f"step-{step:09d}" for step in (4, 8, 11)]
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == names
    trainer.store.remove_passing()
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == names[:2]


def test_checkpoints_of_another_model_are_refused_with_the_folder(start: Start, folder: Path) -> None:
    start().run("test", stop_after(6))
    with pytest.raises(UserError, match="Delete this folder"):
        start(model=recurrent_model(d_model=8))


def test_no_more_checkpoints_are_kept_than_asked_for(start: Start, folder: Path) -> None:
    start(keep_checkpoints=1, checkpoint_every_steps=2).run("test", never)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-000000011"]
