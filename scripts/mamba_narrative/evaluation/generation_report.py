"""Statistics of continuations as metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.evaluation.summary import Summary, mean_over_books
from mamba_narrative.evaluation.sums import Sums


def summary(sums: Sums, facts: Mapping[str, Any], settings: GenerationSettings) -> Summary:
    """Every statistic over all continuations, resampled by book."""
    samples, seed = settings.bootstrap_samples, settings.passage_seed
    return Summary(
        {name: mean_over_books(books, samples, seed, "no continuations") for name, books in sums.items()}, sums
    )
