"""How well a model predicts the beginnings of the validation books, read with carried state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mamba_narrative.errors import UserError
from mamba_narrative.io import canonical_json, sha256_bytes, sha256_text
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.reading import BATCH_SIZE, even_limits, read_books
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import Tokenizer
from mamba_narrative.tokens.windows import IGNORED_TARGET
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.loss import summed_cross_entropy

# Tokens of a book computed at once. The state is carried on, so this is a matter of memory and speed only.
_PIECE_TOKENS = 2048


@dataclass(frozen=True)
class Opening:
    """The first ids of a book's text, uint16, and the UTF-8 bytes that they stand for."""

    ids: np.ndarray
    bytes: int


@dataclass(frozen=True)
class ValidationResult:
    """Mean loss in nats a token, and in bits a UTF-8 byte of the scored text."""

    loss_nats: float
    bits_per_byte: float


def choose_openings(tokens: TokenFile, tokenizer: Tokenizer, limit: int) -> list[Opening]:
    """The beginnings of all validation books, together ``limit`` tokens, in the order of the file.

    All are of one length, but for books that end before it: no long book decides alone when training stops. Raises
    UserError where no book has any text.
    """
    texts = [tokens.book_ids(book)[:-1] for book in tokens.books]
    openings = []
    for book, text, share in zip(tokens.books, texts, shares([len(text) for text in texts], limit), strict=True):
        if share:
            ids = np.asarray(text[:share])
            whole = share == len(text)
            openings.append(Opening(ids, book.bytes if whole else tokenizer.count_bytes(ids.tolist())))
    if not openings:
        raise UserError(f"{tokens.path}: its books have no text; validation needs some")
    return openings


def openings_sha256(openings: Sequence[Opening]) -> str:
    """Hash of all ids and numbers of bytes: validations of openings with the same one may be compared."""
    return sha256_text(canonical_json([[sha256_bytes(opening.ids.tobytes()), opening.bytes] for opening in openings]))


def shares(lengths: Sequence[int], limit: int) -> list[int]:
    """Of each length as much as of the others, or all of it: together ``limit``, or everything there is."""
    taken = [0] * len(lengths)
    shortest_first = sorted(range(len(lengths)), key=lambda number: lengths[number])
    for position, number in enumerate(shortest_first):
        taken[number] = min(lengths[number], limit // (len(lengths) - position))
        limit -= taken[number]
    return taken


def validate(
    model: LanguageModel,
    openings: list[Opening],
    end_of_text_id: int,
    compute: Compute,
    should_stop: Callable[[], bool],
) -> ValidationResult | None:
    """Score ``openings``, some books side by side; None where ``should_stop`` became true meanwhile.

    Each book starts from the empty state and an end-of-text token; the one that closes it is not scored.
    """
    was_training = model.training
    model.eval()
    texts = [opening.ids for opening in openings]
    limits = even_limits(max(map(len, texts)), _PIECE_TOKENS)
    nats = torch.zeros((), dtype=torch.float64, device=compute.device)
    try:
        with torch.no_grad(), compute.autocast():
            for piece in read_books(model, texts, end_of_text_id, limits, BATCH_SIZE[compute.device.type]):
                if should_stop():
                    return None
                lengths = torch.tensor(piece.lengths, device=compute.device)
                after = torch.arange(piece.targets.shape[1], device=compute.device) >= lengths[:, None]
                targets = piece.targets.masked_fill(after, IGNORED_TARGET)
                total, _ = summed_cross_entropy(
                    piece.hidden, model.head_weight(), model.vocab_size, targets, compute.dtype
                )
                nats += total
    finally:
        model.train(was_training)
    in_all = float(nats.item())
    tokens, total_bytes = sum(map(len, texts)), sum(opening.bytes for opening in openings)
    return ValidationResult(in_all / tokens, in_all / math.log(2) / total_bytes)
