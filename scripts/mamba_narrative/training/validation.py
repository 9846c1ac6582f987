"""How well a model predicts the beginning of the validation books, read with carried state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import LanguageModel, State
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import Tokenizer
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.loss import summed_cross_entropy

# Tokens computed at once. The state is carried on, so this is a matter of memory and speed only.
_PIECE_TOKENS = 2048


@dataclass(frozen=True)
class Passage:
    """The first ids of a book's text, and the UTF-8 bytes that they stand for."""

    ids: np.ndarray
    bytes: int


@dataclass(frozen=True)
class ValidationResult:
    """Mean loss in nats a token, and in bits a UTF-8 byte of the scored text."""

    loss_nats: float
    bits_per_byte: float


def choose_passages(tokens: TokenFile, tokenizer: Tokenizer, limit: int) -> list[Passage]:
    """The first ``limit`` tokens of the validation books' texts, in the order of the file.

    Raises UserError where no book has any text.
    """
    passages = []
    for book in tokens.books:
        text_ids = tokens.book_ids(book)[:-1]
        if ids := text_ids[:limit].tolist():
            whole = len(ids) == len(text_ids)
            passages.append(Passage(np.asarray(ids), book.bytes if whole else tokenizer.count_bytes(ids)))
            limit -= len(ids)
    if not passages:
        raise UserError(f"{tokens.path}: its books have no text; validation needs some")
    return passages


def validate(
    model: LanguageModel,
    passages: list[Passage],
    end_of_text_id: int,
    compute: Compute,
    should_stop: Callable[[], bool],
) -> ValidationResult | None:
    """Score ``passages``; None where ``should_stop`` became true meanwhile.

    Each book starts from the empty state and an end-of-text token; the one that closes it is not scored.
    """
    was_training = model.training
    model.eval()
    nats, tokens = 0.0, 0
    try:
        with torch.no_grad():
            for passage in passages:
                state: State | None = None
                ids = torch.from_numpy(np.concatenate(([end_of_text_id], passage.ids)).astype(np.int64))
                for start in range(0, len(ids) - 1, _PIECE_TOKENS):
                    if should_stop():
                        return None
                    end = min(start + _PIECE_TOKENS, len(ids) - 1)
                    inputs, targets = (ids[start + shift : end + shift].to(compute.device)[None] for shift in (0, 1))
                    with compute.autocast():
                        hidden, state = model(inputs, state)
                    total, count = summed_cross_entropy(
                        hidden, model.head_weight(), model.vocab_size, targets, compute.dtype
                    )
                    nats += total.item()
                    tokens += int(count)
    finally:
        model.train(was_training)
    total_bytes = sum(passage.bytes for passage in passages)
    return ValidationResult(nats / tokens, nats / math.log(2) / total_bytes)
