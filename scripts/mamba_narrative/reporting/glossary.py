"""What numbers of the report mean that no evaluation measured; the others are in ``evaluation.definitions``."""

from __future__ import annotations

from mamba_narrative.evaluation.definitions import DEFINITIONS, Definition

OF_RUNS: dict[str, Definition] = {
    "training_loss": Definition(
        "Training loss",
        "Mean of -ln p(token) over the tokens of a batch, before the update that the batch gives. The curve is a "
        "centred mean over 2 % of the steps, at least 5.",
        "nats/token",
        "lower",
        "runs/<run>/train.csv",
    ),
    "validation_loss": Definition(
        "Validation loss",
        "Mean of -ln p(token) over the beginnings of the validation books, training.validation_tokens together, each "
        "read from the empty state. Bits per byte are this sum / ln 2 / UTF-8 bytes of the same text. Watched during "
        "training: quote the measurements on test books.",
        "nats/token",
        "lower",
        "runs/<run>/validation.csv",
    ),
    "tokens_per_second": Definition(
        "Tokens a second",
        "Training tokens / seconds spent in updates, over the whole run with all its continuations; validation and "
        "saving are not counted.",
        "tokens/s",
        "higher",
        "runs/<run>/run.json",
    ),
    "energy": Definition(
        "Energy",
        "Power that the graphics cards reported of themselves, summed over the time in updates. Processors, memory and "
        "cooling are not in it; a card that reports no power leaves it empty.",
        "kWh",
        "lower",
        "runs/<run>/run.json",
    ),
}

_OF_FIGURES: dict[str, tuple[str, ...]] = {
    "training_curve": ("training_loss", "validation_loss"),
    "loss_by_position": ("loss_by_position",),
    "use_of_context": ("context_gain", "state_rms"),
    "next_chapter": ("chapter_suffix",),
    "name_recall": ("name_recall_gain",),
}
_OF_TABLES: dict[str, tuple[str, ...]] = {
    "contexts": ("context_step", "context_gain", "effective_remembrance"),
    "resets": ("reset_excess",),
    "sanity": ("shuffled_gap", "context_step"),
    "runs": tuple(OF_RUNS),
}


def find_definition(definition_id: str) -> Definition | None:
    """The definition of this id, None for an unknown one."""
    return DEFINITIONS.get(definition_id) or OF_RUNS.get(definition_id)


def definitions_behind(name: str) -> dict[str, Definition | None]:
    """Definitions of what the figure or table ``name`` shows; none where its caption says all."""
    return {key: find_definition(key) for key in (*_OF_FIGURES.get(name, ()), *_OF_TABLES.get(name, ()))}
