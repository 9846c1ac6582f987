"""Learning rate by step: linear warmup, then a cosine."""

from __future__ import annotations

import math

from mamba_narrative.config.training import TrainingSettings


def learning_rate_at(step: int, settings: TrainingSettings) -> float:
    """Learning rate of update number ``step`` (0, 1, ..., ``steps`` - 1).

    Rises linearly so that update ``warmup_steps`` has the peak, then follows half a cosine (Loshchilov and Hutter
    2017, without restarts) so that the last update has ``min_learning_rate_share`` of the peak.
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / (settings.warmup_steps + 1)
    decay_steps = settings.steps - 1 - settings.warmup_steps
    progress = (step - settings.warmup_steps) / decay_steps if decay_steps > 0 else 0.0
    share = settings.min_learning_rate_share
    return settings.learning_rate * (share + (1 - share) * 0.5 * (1 + math.cos(math.pi * progress)))
