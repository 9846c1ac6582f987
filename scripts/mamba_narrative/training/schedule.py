"""How long a run is, and its learning rate and weight decay by step."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.errors import UserError
from mamba_narrative.tokens.batches import Batches


def number_of_steps(settings: TrainingSettings, batches: Batches) -> int:
    """The updates of the run: as set, or the fewest that see so many epochs or tokens.

    Raises UserError where the warmup is longer than that.
    """
    if settings.steps is not None:
        return settings.steps
    if settings.epochs is not None:
        asked, epochs = f"epochs {settings.epochs:g}", settings.epochs
    else:
        assert settings.tokens is not None, "one of the three is set"
        asked, epochs = f"tokens {settings.tokens:,}", settings.tokens / batches.tokens_per_epoch
    most = 1
    while batches.epochs(most) < epochs:
        most *= 2
    steps = max(1, bisect_left(range(most + 1), epochs, key=batches.epochs))
    if settings.warmup_ratio is None and settings.warmup_steps > steps:
        raise UserError(
            f"training.warmup_steps ({settings.warmup_steps}) exceeds the run's {steps} steps (training.{asked}): "
            "lower it, or set training.warmup_ratio"
        )
    return steps


class Schedule:
    """Of a run of a known length. Updates are numbered 0, 1, ..., ``steps`` - 1."""

    def __init__(self, settings: TrainingSettings, steps: int) -> None:
        self.steps, self._settings = steps, settings
        share = settings.warmup_ratio
        self.warmup_steps = settings.warmup_steps if share is None else round(share * steps)
        longest = steps - 1 - self.warmup_steps
        self._decay_steps = longest
        if settings.schedule == "wsd":
            self._decay_steps = min(longest, max(1, round(settings.decay_ratio * steps)))

    def learning_rate(self, step: int) -> float:
        """Of update number ``step``.

        Rises linearly so that update ``warmup_steps`` has the peak, and falls so that the last one has
        ``min_lr_ratio`` of it. cosine: by half a cosine, from the warmup on (Loshchilov and Hutter 2017,
        without restarts). wsd: by 1 - sqrt(share of the decay), over the last ``decay_ratio`` of the steps (Haegele et
        al. 2024, arXiv 2405.18392).
        """
        settings = self._settings
        if step < self.warmup_steps:
            return settings.learning_rate * (step + 1) / (self.warmup_steps + 1)
        before = step - (self.steps - 1 - self._decay_steps)
        progress = max(0.0, before / self._decay_steps) if self._decay_steps > 0 else 0.0
        shape = 0.5 * (1 + math.cos(math.pi * progress)) if settings.schedule == "cosine" else 1 - math.sqrt(progress)
        share = settings.min_lr_ratio
        return settings.learning_rate * (share + (1 - share) * shape)

    def weight_decay(self, step: int) -> float:
        """Of update number ``step``: straight lines between the points of ``weight_decay_schedule``."""
        shares, factors = zip(*self._settings.weight_decay_schedule, strict=True)
        return self._settings.weight_decay * float(np.interp(step / max(1, self.steps - 1), shares, factors))
