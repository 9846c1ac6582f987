from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.training.schedule import learning_rate_at


def test_the_peak_comes_right_after_the_warmup_and_the_floor_at_the_last_step() -> None:
    settings = TrainingSettings(steps=100, warmup_steps=10, learning_rate=1e-3, min_learning_rate_share=0.1)
    rates = [learning_rate_at(step, settings) for step in range(100)]
    assert rates[10] == max(rates) == pytest.approx(1e-3)
    assert rates[0] == pytest.approx(1e-3 / 11)
    assert rates[-1] == pytest.approx(1e-4)


def test_half_way_down_the_cosine_is_the_mean_of_peak_and_floor() -> None:
    settings = TrainingSettings(steps=101, warmup_steps=0, learning_rate=2.0, min_learning_rate_share=0.5)
    assert learning_rate_at(50, settings) == pytest.approx(1.5)


@given(data=st.data(), steps=st.integers(1, 60), share=st.floats(0, 1))
def test_rates_rise_then_fall_within_the_bounds(data: st.DataObject, steps: int, share: float) -> None:
    warmup = data.draw(st.integers(0, steps))
    settings = TrainingSettings(steps=steps, warmup_steps=warmup, learning_rate=0.01, min_learning_rate_share=share)
    rates = [learning_rate_at(step, settings) for step in range(steps)]
    assert rates[: warmup + 1] == sorted(rates[: warmup + 1])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert all(0 <= rate <= 0.01 * (1 + 1e-12) for rate in rates)
