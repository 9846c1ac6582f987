from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mamba_narrative.tokens.batches import ShuffledBatches, StatefulBatches
from mamba_narrative.tokens.windows import WindowSampler
from mamba_narrative.training.validation import Opening
from unit.training.stand_in import END_OF_TEXT, some_books
from unit.training.tiny_run import write_tokens


@pytest.fixture
def batches() -> ShuffledBatches:
    ids, books = some_books()
    sampler = WindowSampler(ids, books, sequence_length=16, seed=1, end_of_text_id=END_OF_TEXT)
    return ShuffledBatches(sampler, books, sequences=3)


@pytest.fixture
def stateful() -> StatefulBatches:
    ids, books = some_books()
    return StatefulBatches(ids, books, sequence_length=16, sequences=3, seed=1, end_of_text_id=END_OF_TEXT)


@pytest.fixture
def openings() -> list[Opening]:
    ids, books = some_books(seed=4)
    return [
        Opening(ids[book.first_token : book.first_token + book.tokens], book.bytes) for book in books if book.tokens > 1
    ]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokens(tmp_path_factory.mktemp("corpus"))
