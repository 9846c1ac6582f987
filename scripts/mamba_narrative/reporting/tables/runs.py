"""The runs side by side: size, training, validation, hardware. From `runs/<run>/run.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mamba_narrative.reporting.formatting import plural
from mamba_narrative.reporting.tables.table import Column, Schema, Table

_MODEL = ("d_model", "n_layer", "d_state")
_TRAINING = ("sequence_length", "batch_size", "learning_rate", "seed", "precision")
_COLUMNS = (
    Column("run", "Run"),
    Column("architecture", "Architecture"),
    Column("parameters", "Parameters", "count"),
    Column("d_model", "d_model", "count"),
    Column("n_layer", "n_layer", "count"),
    Column("d_state", "d_state", "count"),
    Column("sequence_length", "Sequence length (tokens)", "count"),
    Column("batch_size", "Sequences a batch", "count"),
    Column("learning_rate", "Peak learning rate"),
    Column("seed", "Seed"),
    Column("precision", "Precision"),
    Column("steps", "Steps", "count"),
    Column("weights_of_step", "Weights of step", "count"),
    Column("tokens_seen", "Tokens seen", "count"),
    Column("epochs", "Epochs", "number"),
    Column("seconds", "Training time (s)", "number"),
    Column("tokens_per_second", "Tokens/s", "count"),
    Column("mfu", "MFU", "share"),
    Column("peak_memory_gib", "Peak memory of the card (GiB)", "number"),
    Column("energy_kwh", "Energy (kWh)", "number"),
    Column("resumed", "Resumed (times)", "count"),
    Column("validation_loss_nats", "Validation loss (nats/token)", "number"),
    Column("validation_bits_per_byte", "Validation bits/byte", "number"),
    Column("hardware", "Hardware"),
)
RUNS = Schema("runs", "Runs: size, training and validation.", _COLUMNS)


def runs_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """One row a ``run.json``; what a record lacks stays empty."""
    return Table(RUNS, tuple(_row(record) for record in records))


def hardware_line(hardware: Mapping[str, Any]) -> str:
    """What computed, in a few words: the GPU, else the processor and its threads."""
    if gpu := hardware.get("gpu"):
        return str(gpu)
    processor, threads = hardware.get("cpu") or hardware.get("device") or "", hardware.get("torch_threads")
    return f"{processor}, {plural(threads, 'thread')}" if threads else str(processor)


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    settings = record.get("settings") or {}
    model, training = settings.get("model") or {}, settings.get("training") or {}
    validation = record.get("validation") or {}
    row: dict[str, Any] = {key: model.get(key) for key in _MODEL} | {key: training.get(key) for key in _TRAINING}
    for column in _COLUMNS:
        if column.key not in row:
            row[column.key] = record.get(column.key)
    row["validation_loss_nats"] = validation.get("loss_nats")
    row["validation_bits_per_byte"] = validation.get("bits_per_byte")
    row["hardware"] = hardware_line(record.get("hardware") or {})
    return row
