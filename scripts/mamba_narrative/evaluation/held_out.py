"""The test books as they are measured, and the tokenizer they were encoded with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import Tokenizer, load_tokenizer

SPLIT = "test"
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
_MOST_TOKENS_OF_A_CHARACTER = 4
# Enough to hold the beginning of the last character.
_TAIL_TOKENS = 8


@dataclass(frozen=True)
class HeldOutBook:
    """The scored tokens of one book, uint16 without the closing end of text, and the size of their text."""

    book_id: str
    ids: npt.NDArray[np.uint16]
    bytes: int
    words: int
    is_cut: bool
    """Whether only the beginning of the book is scored."""


def open_tokens(directory: Path, split: str) -> tuple[TokenFile, Tokenizer]:
    """A split's tokens and their tokenizer.

    Raises UserError where there is no book, FileFormatError where files do not fit each other or the tokenizer
    installed here.
    """
    tokens = TokenFile(directory, split)
    if not tokens.books:
        raise UserError(f"{tokens.path}: no books; the evaluation needs at least one in this split: add books")
    tokenizer = load_tokenizer(tokens.manifest["tokenizer"]["name"])
    if tokens.manifest["tokenizer"] != tokenizer.describe():
        raise FileFormatError(
            f"{tokens.path}: encoded with another tokenizer than the installed {tokenizer.name!r} "
            f"(sha256 {tokens.manifest['tokenizer']['sha256']}, here {tokenizer.sha256}): encode the books again"
        )
    return tokens, tokenizer


def held_out_books(tokens: TokenFile, tokenizer: Tokenizer, max_tokens_per_book: int | None) -> list[HeldOutBook]:
    """What is scored of each book: all of it, or its first tokens with the exact bytes and words of their text, which
    ends with a whole character, so that models with other tokenizers can be given the same text.

    Raises UserError where no book has any text.
    """
    books = []
    for book in tokens.books:
        text_ids = tokens.book_ids(book)[:-1]
        if max_tokens_per_book is None or len(text_ids) <= max_tokens_per_book:
            books.append(HeldOutBook(book.book_id, text_ids, book.bytes, book.words, is_cut=False))
        else:
            ids = _whole_characters(text_ids[:max_tokens_per_book], tokenizer)
            spelled = ids.tolist()
            words = len(tokenizer.decode(spelled).split())
            books.append(HeldOutBook(book.book_id, ids, tokenizer.count_bytes(spelled), words, is_cut=True))
    if not any(len(book.ids) for book in books):
        raise UserError(f"{tokens.path}: its books have no text; nothing can be scored")
    return books


def _whole_characters(ids: npt.NDArray[np.uint16], tokenizer: Tokenizer) -> npt.NDArray[np.uint16]:
    """``ids`` without the last tokens, at most three, where those are the beginning of a character only."""
    for cut in range(_MOST_TOKENS_OF_A_CHARACTER):
        shorter = ids[: len(ids) - cut]
        if not tokenizer.decode(shorter[-_TAIL_TOKENS:].tolist()).endswith(_UNFINISHED):
            return shorter
    return ids
