"""Small models and token files for tests of the evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.corpus.formats.chapter_table import write_chapters
from mamba_narrative.io import sha256_file, write_json, write_table
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import build_model
from mamba_narrative.tokens.reader import BOOK_COLUMNS
from mamba_narrative.tokens.tokenizer import Tokenizer

SETTINGS = MambaSettings(d_model=16, n_layer=2, d_state=4)
WORDS = ["The", "lamp", "was", "lit.", "She", "asked:", "“Who", "knocks?”", "Nobody", "came.\n\nThen", "naïve", "Mr."]


def small_model(vocab_size: int = 50) -> LanguageModel:
    """A Mamba in float64, where different orders of computation differ by almost nothing."""
    model = build_model("mamba", SETTINGS, vocab_size, seed=1).double().eval()
    for parameter in model.parameters():
        parameter.data.mul_(1.5)
    return model


def write_split(directory: Path, split: str, texts: dict[str, str], tokenizer: Tokenizer) -> None:
    rows, pieces = [], []
    for book_id, text in texts.items():
        ids = np.append(tokenizer.encode_array(text), np.uint16(tokenizer.end_of_text_id))
        rows.append(
            {
                "book_id": book_id,
                "first_token": sum(map(len, pieces)),
                "tokens": len(ids),
                "characters": len(text),
                "bytes": len(text.encode()),
                "words": len(text.split()),
            }
        )
        pieces.append(ids)
    directory.mkdir(parents=True, exist_ok=True)
    np.concatenate(pieces).astype("<u2").tofile(directory / f"{split}.bin")
    write_table(directory / f"{split}.books.tsv", BOOK_COLUMNS, rows)
    manifest = {
        "split": split, "dtype": "<u2", "tokens": sum(map(len, pieces)), "books": len(rows),
        "sha256": sha256_file(directory / f"{split}.bin"),
        "books_sha256": sha256_file(directory / f"{split}.books.tsv"), "tokenizer": tokenizer.describe(),
    }  # fmt: skip
    write_json(directory / f"{split}.json", manifest)


def write_heading(directory: Path, book_id: str) -> None:
    """Headings of the test books: the book has one, where nothing of it is."""
    write_chapters(directory / "test.chapters.tsv", [(book_id, 0, "I")])


def random_text(seed: int, words: int) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))
