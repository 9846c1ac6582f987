"""Names of settings and recorded numbers that were replaced: nothing but a message and a converter knows them."""

from __future__ import annotations

from typing import Any

RENAMED = {
    "batch_sequences": "batch_size",
    "micro_batch_sequences": "micro_batch_size",
    "gradient_reduction": "reduce_dtype",
    "recompute": "activation_checkpointing",
    "stage_directory": "staging_directory",
    "muon_split_joined": "muon_split_fused",
    "min_learning_rate_share": "min_lr_ratio",
    "decay_share": "decay_ratio",
    "warmup_share": "warmup_ratio",
    "clip_grad_norm": "max_grad_norm",
    "stop_after_validations": "early_stopping_patience",
    "books_at_once": "batch_size",
    "rows_at_once": "batch_size",
    "share_of_peak_flops": "mfu",
}
"""What replaced each name."""


def with_new_names(value: Any) -> Any:
    """A JSON value, in which every key of an object has its new name."""
    if isinstance(value, dict):
        return {RENAMED.get(key, key): with_new_names(item) for key, item in value.items()}
    return [with_new_names(item) for item in value] if isinstance(value, list) else value
