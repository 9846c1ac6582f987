"""A run of seconds on three short texts, through the real token files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mamba_narrative.config.runs import MambaRun
from mamba_narrative.io import sha256_text, write_table
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.tokens.writer import assemble_splits, encode_books

RUN: dict[str, Any] = {
    "architecture": "mamba",
    "model": {"d_model": 8, "n_layer": 1, "d_state": 2},
    "training": {
        "steps": 4,
        "sequence_length": 16,
        "batch_sequences": 2,
        "warmup_steps": 1,
        "learning_rate": 0.01,
        "validate_every_steps": 2,
        "checkpoint_every_steps": 2,
        "device": "cpu",
    },
}


def settings_of(**training: object) -> MambaRun:
    return MambaRun.model_validate({**RUN, "training": {**RUN["training"], **training}})


def write_tokens(root: Path) -> Path:
    """Token files below ``root``; returns their folder."""
    (root / "000").mkdir()
    texts = {"1": "The ferry left before dawn. " * 12, "2": "A door, a stair, another door.\n\n" * 5, "3": "Rain. " * 9}
    for book_id, text in texts.items():
        (root / "000" / f"{book_id}.txt").write_text(text, encoding="utf-8")
    rows = [
        {
            "book_id": book_id,
            "sha256": sha256_text(text),
            "characters": len(text),
            "bytes": len(text),
            "words": len(text.split()),
            "decision": "keep",
            "shard": "000",
        }
        for book_id, text in texts.items()
    ]
    tokenizer = load_tokenizer("gpt2")
    for name, chosen in (("books", rows), ("train", rows[:2]), ("validation", rows[2:]), ("test", [])):
        write_table(root / f"{name}.tsv", tuple(rows[0]), chosen)
    encode_books(
        root / "books.tsv", root / "000", root / "books.tsv", tokenizer, root / "000.bin", root / "000.books.tsv"
    )
    splits = {split: root / f"{split}.tsv" for split in ("train", "validation", "test")}
    assemble_splits(splits, root, tokenizer.describe(), root / "tokens")
    return root / "tokens"
