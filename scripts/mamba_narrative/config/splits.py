"""How clusters of books are divided into training, validation and test."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mamba_narrative.config.base import Section, Seed


class SplitsSettings(Section):
    """A cluster's split depends on its identity and the seed alone."""

    seed: Seed = 1
    """Changes which clusters are held out."""
    validation_fraction: float = Field(default=0.1, ge=0.0001, le=0.9)
    """Expected share of clusters in validation."""
    test_fraction: float = Field(default=0.1, ge=0.0001, le=0.9)
    """Expected share of clusters in test."""
    group_by: Literal["cluster", "author"] = "cluster"
    """`author`: all books of an author land in one split, too, so that held-out authors are unknown to the model."""
    max_shared_13gram_rate: float = Field(default=0.01, ge=0, le=1)
    """The run stops where a held-out book shares more than this part of its runs of 13 words with training books."""

    @model_validator(mode="after")
    def _something_is_left_for_training(self) -> SplitsSettings:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                "splits.validation_fraction + splits.test_fraction must be below 1, else nothing is trained on"
            )
        return self
