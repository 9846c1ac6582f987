"""The page about tries of a recipe, made from their records: one JSON file a try (`training.try_record`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_json
from mamba_narrative.model.registry import settings_type
from mamba_narrative.reporting.tables.table import markdown_grid

_KEYS = ("name", "architecture", "model", "training", "data", "validations", "finished")
_OF_NO_INTEREST = frozenset(
    {
        *(
            "device",
            "micro_batch_size",
            "activation_checkpointing",
            "cuda_graphs",
            "processes",
            "nodes",
            "reduce_dtype",
        ),
        *(
            "staging_directory",
            "validate_every_steps",
            "validation_tokens",
            "checkpoint_every_steps",
            "keep_checkpoints",
        ),
        *("keep_every_steps", "max_skipped_steps", "result"),
    }
)
"""Settings that change no number of a training, or only how it is watched."""
_HEAD = [
    *("try", "what differs", "steps", "best bits/byte", "at step", "last bits/byte", "training loss", "tokens/s"),
    *("seconds", "card", "commit"),
]
_IS_TEXT = [heading in ("try", "what differs", "card", "commit") for heading in _HEAD]


def read_tries(folder: Path) -> list[dict[str, Any]]:
    """All records of a folder, by file name.

    Raises UserError where the folder holds none, FileFormatError where one lacks a key.
    """
    tries = []
    for path in sorted(folder.glob("*.json")):
        record = read_json(path)
        missing = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
        if missing:
            raise FileFormatError(f"{path}: no record of a try; it lacks {', '.join(missing)}")
        # Records from before a setting existed did as its default says.
        model = settings_type(record["architecture"])().model_dump(mode="json")
        training = TrainingSettings().model_dump(mode="json")
        tries.append({**record, "model": {**model, **record["model"]}, "training": {**training, **record["training"]}})
    if not tries:
        raise UserError(f"{folder}: no records of tries; try_recipe.py writes them")
    return tries


def tuning_page(tries: Sequence[Mapping[str, Any]]) -> str:
    """Markdown with one table for each architecture, size and data, the best try first, the useless ones too."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in tries:
        groups.setdefault(_group(record), []).append(record)
    common = _common(tries)
    parts = [
        "# Tries of the recipe",
        "One record a try, written by the training itself (`scripts/try_recipe.py`); this page is made from them by "
        "`python scripts/tabulate_tuning.py workflow/baselines/tuning`. Bits per byte are those of the validation; "
        "nothing looked at a test book. The training loss, in nats a token, is the mean of the last 150 steps, with "
        "dropout where the recipe has it. One seed a try unless the name says otherwise: differences of a few "
        "thousandths do not separate two tries.",
        "All tries share: " + ", ".join(f"{key} {_shown(value)}" for key, value in common.items()) + ".",
    ]
    for (architecture, *_), records in sorted(groups.items()):
        data = records[0]["data"]
        parts.append(
            f"## {architecture}, {_size(records[0])}\n\n"
            f"Training tokens {data['train']['tokens']:,} (sha256 `{data['train']['sha256'][:16]}...`)."
        )
        rows = [_row(record, common) for record in sorted(records, key=_rank)]
        parts.append(markdown_grid(_HEAD, _IS_TEXT, rows))
    return "\n\n".join(parts) + "\n"


def _group(record: Mapping[str, Any]) -> tuple[str, ...]:
    return record["architecture"], _size(record), record["data"]["train"]["sha256"]


def _size(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(record["model"].items()) if value is not None)


def _common(tries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Settings that all tries have alike."""
    first = tries[0]["training"]
    return {
        key: value
        for key, value in first.items()
        if key not in _OF_NO_INTEREST and all(record["training"].get(key) == value for record in tries)
    }


def _rank(record: Mapping[str, Any]) -> float:
    return min((row["bits_per_byte"] for row in record["validations"]), default=float("inf"))


def _row(record: Mapping[str, Any], common: Mapping[str, Any]) -> list[str]:
    training, validations = record["training"], record["validations"]
    differs = [
        f"{key} {_shown(value)}"
        for key, value in training.items()
        if key not in common and key not in _OF_NO_INTEREST and key != "steps"
    ]
    best = min(validations, key=lambda row: row["bits_per_byte"], default=None)
    name = record["name"] if record["finished"] else f"{record['name']} (stopped)"
    return [
        name,
        ", ".join(differs),
        _shown(training.get("steps")),
        f"{best['bits_per_byte']:.4f}" if best else "",
        _shown(best["step"]) if best else "",
        f"{validations[-1]['bits_per_byte']:.4f}" if validations else "",
        _optional(record.get("training_loss_nats"), ".3f"),
        _optional(record.get("tokens_per_second"), ",.0f"),
        _optional(record.get("seconds"), ",.0f"),
        record.get("hardware", {}).get("gpu") or record.get("hardware", {}).get("cpu") or "",
        (record.get("commit") or "").split(" ")[0][:9],
    ]


def _optional(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
