from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.errors import UserError
from mamba_narrative.tokens.batches import Batches, ShuffledBatches, StatefulBatches
from mamba_narrative.training.schedule import Schedule, number_of_steps
from unit.training.stand_in import BOOK_LENGTHS


def schedule_of(steps: int, **settings: Any) -> Schedule:
    return Schedule(TrainingSettings(steps=steps, **settings), steps)


def rates_of(schedule: Schedule) -> list[float]:
    return [schedule.learning_rate(step) for step in range(schedule.steps)]


def test_the_peak_comes_right_after_the_warmup_and_the_floor_at_the_last_step() -> None:
    rates = rates_of(schedule_of(100, warmup_steps=10, learning_rate=1e-3, min_lr_ratio=0.1))
    assert rates[10] == max(rates) == pytest.approx(1e-3)
    assert rates[0] == pytest.approx(1e-3 / 11)
    assert rates[-1] == pytest.approx(1e-4)


def test_half_way_down_the_cosine_is_the_mean_of_peak_and_floor() -> None:
    schedule = schedule_of(101, warmup_steps=0, learning_rate=2.0, min_lr_ratio=0.5)
    assert schedule.learning_rate(50) == pytest.approx(1.5)


def test_wsd_stays_at_the_peak_and_falls_over_its_last_share() -> None:
    rates = rates_of(
        schedule_of(101, schedule="wsd", decay_ratio=0.2, warmup_steps=10, learning_rate=2.0, min_lr_ratio=0)
    )
    assert rates[9] < 2.0
    assert rates[10:81] == [2.0] * 71
    assert rates[85] == pytest.approx(2.0 * (1 - math.sqrt(5 / 20)))
    assert rates[-1] == 0


def test_warmup_may_be_a_share_of_the_steps() -> None:
    schedule = schedule_of(200, warmup_ratio=0.05, warmup_steps=7)
    assert schedule.warmup_steps == 10
    assert rates_of(schedule)[10] == max(rates_of(schedule))


@given(
    data=st.data(),
    steps=st.integers(1, 60),
    share=st.floats(0, 1),
    name=st.sampled_from(["cosine", "wsd"]),
    decay=st.floats(0.001, 1),
)
def test_rates_rise_then_fall_within_the_bounds(
    data: st.DataObject, steps: int, share: float, name: str, decay: float
) -> None:
    warmup = data.draw(st.integers(0, steps))
    schedule = schedule_of(
        steps,
        warmup_steps=warmup,
        learning_rate=0.01,
        min_lr_ratio=share,
        schedule=name,
        decay_ratio=decay,
    )
    rates = rates_of(schedule)
    assert rates[: warmup + 1] == sorted(rates[: warmup + 1])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert all(0 <= rate <= 0.01 * (1 + 1e-12) for rate in rates)
    if warmup + 1 < steps:
        assert rates[warmup] == pytest.approx(0.01)
        assert rates[-1] == pytest.approx(0.01 * share)


def test_weight_decay_goes_along_straight_lines_between_its_points() -> None:
    schedule = schedule_of(
        101, warmup_steps=0, weight_decay=2.0, weight_decay_schedule=((0.1, 1), (0.5, 0.1), (0.9, 1.5))
    )
    expected = {0: 2.0, 10: 2.0, 30: 1.1, 50: 0.2, 70: 1.6, 90: 3.0, 100: 3.0}
    assert {step: schedule.weight_decay(step) for step in expected} == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 5])
def test_weight_decay_is_constant_unless_a_schedule_is_set(steps: int) -> None:
    schedule = schedule_of(steps, warmup_steps=0, weight_decay=0.7)
    assert [schedule.weight_decay(step) for step in range(steps)] == [0.7] * steps


def length(batches: Batches, **settings: Any) -> int:
    return number_of_steps(TrainingSettings(warmup_steps=0, **settings), batches)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 4), (2.5, 10), (2.51, 11), (0.001, 1)])
def test_epochs_are_rounded_up_to_whole_steps(batches: ShuffledBatches, epochs: float, steps: int) -> None:
    assert length(batches, epochs=epochs) == steps
    assert batches.epochs(steps) >= epochs


def test_tokens_are_rounded_up_to_whole_steps(batches: ShuffledBatches, stateful: StatefulBatches) -> None:
    tokens = sum(BOOK_LENGTHS)
    assert length(batches, tokens=tokens) == 4
    assert length(batches, tokens=tokens + 1) == 5
    assert length(stateful, tokens=3 * 16 * 7) == 7
    assert length(stateful, tokens=3 * 16 * 7 + 1) == 8


def test_a_number_of_steps_is_taken_as_it_is(batches: ShuffledBatches) -> None:
    assert length(batches, steps=17) == 17


def test_a_warmup_longer_than_the_run_is_refused_once_its_length_is_known(batches: ShuffledBatches) -> None:
    settings = TrainingSettings(epochs=2, warmup_steps=9)
    with pytest.raises(UserError, match=r"warmup_steps \(9\) exceeds the run's 8 steps \(training\.epochs 2\)"):
        number_of_steps(settings, batches)
    assert number_of_steps(settings.model_copy(update={"warmup_ratio": 0.1}), batches) == 8
