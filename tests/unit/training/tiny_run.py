"""A run of seconds on three short texts, through the real token files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mamba_narrative.config.architectures.mamba import MambaRun
from mamba_narrative.corpus.formats.selection_table import write_selection
from mamba_narrative.corpus.formats.split_table import write_split
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.tokens.writer import assemble_splits, encode_books
from unit.corpus.stripped_shard import write_stripped

RUN: dict[str, Any] = {
    "architecture": "mamba",
    "model": {"d_model": 8, "n_layer": 1, "d_state": 2},
    "training": {
        "steps": 4,
        "sequence_length": 16,
        "batch_size": 2,
        "warmup_steps": 1,
        "learning_rate": 0.01,
        "validate_every_steps": 2,
        "checkpoint_every_steps": 2,
        "device": "cpu",
    },
}

DROPOUT = {"residual_dropout": 0.2, "embedding_dropout": 0.1}
RECIPE: dict[str, Any] = {
    "optimizer": "muon",
    "schedule": "wsd",
    "weight_decay_schedule": [[0, 3], [1, 0]],
    "ema_decay": 0.7,
    "result": "ema",
    **DROPOUT,
}
"""What a run may have beyond AdamW and a cosine."""


def settings_of(**training: object) -> MambaRun:
    return MambaRun.model_validate({**RUN, "training": {**RUN["training"], **training}})


def write_tokens(root: Path) -> Path:
    """Token files of three texts below ``root``; returns their folder."""
    texts = {"1": "The ferry left before dawn. " * 12, "2": "A door, a stair, another door.\n\n" * 5, "3": "Rain. " * 9}
    return encode_texts(root, texts, {"train": ("1", "2"), "validation": ("3",), "test": ()})


def encode_texts(root: Path, texts: Mapping[str, str], splits: Mapping[str, Sequence[str]]) -> Path:
    """Token files of ``texts`` (by book id) below ``root``, the ``splits`` by their book ids; returns their folder."""
    texts_manifest = write_stripped(root / "000", texts)
    rows = [{"book_id": book_id, "decision": "keep", "shard": "000"} for book_id in texts]
    tokenizer = load_tokenizer("gpt2")
    manifests = {split: root / f"{split}.tsv" for split in splits}
    table = root / "books.tsv"
    write_selection(table, (), rows)
    for split, path in manifests.items():
        write_split(path, [row for row in rows if row["book_id"] in splits[split]])
    encode_books(table, root / "000", texts_manifest, tokenizer, root / "000.bin", root / "000.books.tsv")
    assemble_splits(manifests, root, tokenizer.describe(), root / "tokens")
    return root / "tokens"
