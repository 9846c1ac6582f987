"""The baseline that anyone can run: how small xz makes a held-out book, alone and after text of the training books."""

from __future__ import annotations

import lzma
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np

from mamba_narrative.config.evaluation import LikelihoodBaselines
from mamba_narrative.evaluation.arguments import OutputDirectory, TrainAndTestTokens
from mamba_narrative.evaluation.book_losses import BookLosses, write_losses
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook, held_out_books, open_tokens
from mamba_narrative.evaluation.sums import Sum
from mamba_narrative.progress import track
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import Tokenizer

ALONE, AFTER_TRAINING = "xz", "xz-after-training"
_LEVEL = 9
_METRIC = "compressed_bits_per_byte"


def evaluate_compressor(
    tokens: TrainAndTestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[LikelihoodBaselines, "`likelihood` and `baselines` of `evaluation`"] = LikelihoodBaselines(),
) -> None:
    """Write the sums to the folders `xz` and `xz-after-training` of ``output``.

    Raises UserError where a token file is missing or broken.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    train, _ = open_tokens(tokens, "train")
    prefix = training_text(train, tokenizer, settings.baselines.compressor_training_bytes)
    books = held_out_books(test, tokenizer, settings.likelihood.max_tokens_per_book)
    texts = [tokenizer.decode(book.ids.tolist()).encode() for book in books]
    for name, before in ((ALONE, b""), (AFTER_TRAINING, prefix)):
        bits = bits_after(before, track(texts, f"{name}: compressing", len(texts), "books"))
        _write(name, books, bits, len(before), output_directory / name)


def training_text(train: TokenFile, tokenizer: Tokenizer, size: int) -> bytes:
    """At most ``size`` bytes: the beginnings of the training books, of all the same length, so that all have a say."""
    share = size // max(len(train.books), 1)
    # No token is empty, so that this many are enough.
    ids = (train.book_ids(book)[:-1][:share] for book in train.books)
    return b"".join(tokenizer.decode(book.tolist()).encode()[:share] for book in ids)


def bits_after(prefix: bytes, texts: Iterable[bytes]) -> list[int]:
    """By how many bits each text makes the compressed ``prefix`` longer."""
    before = compressed_bits(prefix)
    return [compressed_bits(prefix + text) - before for text in texts]


def compressed_bits(data: bytes) -> int:
    """Bits of ``data`` as LZMA2, the compression of xz, without the container's headers and checks (68 bytes)."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": _LEVEL}]
    return 8 * len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))


def _write(name: str, books: Sequence[HeldOutBook], bits: Sequence[int], training: int, output: Path) -> None:
    losses = BookLosses(books, np.array(bits, np.float64)[:, None] * math.log(2))
    sums = {
        book.book_id: Sum(len(book.ids), float(book.bytes), float(size)) for book, size in zip(books, bits, strict=True)
    }
    facts = {"compressor": f"xz, preset {_LEVEL}", "training_bytes": training}
    write_losses(name, losses, output, facts, metrics={"bits_per_byte": _METRIC}, more={_METRIC: sums})
