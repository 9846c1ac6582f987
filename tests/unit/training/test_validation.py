from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import Tokenizer, load_tokenizer
from mamba_narrative.training import validation as module
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.validation import Opening, choose_openings, shares, validate
from unit.training.stand_in import END_OF_TEXT, recurrent_model
from unit.training.tiny_run import encode_texts

CPU = Compute(torch.device("cpu"), torch.float32)
TEXTS = {"1": "Snow — again.", "2": "The gate stood open; nobody had seen it opened."}


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    return load_tokenizer("gpt2")


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(encode_texts(tmp_path, TEXTS, {"validation": tuple(TEXTS)}), "validation")


@pytest.mark.parametrize("piece", [1, 5, 2048])
def test_the_loss_is_that_of_each_whole_book_read_from_an_end_of_text(
    openings: list[Opening], piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = recurrent_model(dropout=0.5).train()
    nats, count = 0.0, 0
    with torch.no_grad():
        for opening in openings:
            ids = torch.from_numpy(np.append(END_OF_TEXT, opening.ids.astype(np.int64)))
            scores = model.eval().logits(model(ids[None, :-1])[0])[0, :, :50].double()
            nats += F.cross_entropy(scores, ids[1:], reduction="sum").item()
            count += len(opening.ids)
    model.train()
    monkeypatch.setattr(module, "_PIECE_TOKENS", piece)
    result = validate(model, openings, END_OF_TEXT, CPU, lambda: False)
    assert result is not None
    assert result.loss_nats == pytest.approx(nats / count, rel=1e-5)
    assert result.bits_per_byte == pytest.approx(
        nats / math.log(2) / sum(opening.bytes for opening in openings), rel=1e-5
    )
    assert model.training


def test_a_uniform_model_needs_the_logarithm_of_the_vocabulary(openings: list[Opening]) -> None:
    model = recurrent_model()
    with torch.no_grad():
        model.embedding.weight.zero_()
    result = validate(model, openings, END_OF_TEXT, CPU, lambda: False)
    assert result is not None
    assert result.loss_nats == pytest.approx(math.log(50), rel=1e-6)


def test_a_stop_ends_a_validation_without_a_result(openings: list[Opening], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE_TOKENS", 2)
    calls = iter([False, False, True])
    assert validate(recurrent_model(), openings, END_OF_TEXT, CPU, lambda: next(calls)) is None


def test_whole_books_count_the_bytes_of_their_text(tokens: TokenFile, gpt2: Tokenizer) -> None:
    openings = choose_openings(tokens, gpt2, 10_000)
    assert [opening.bytes for opening in openings] == [len(text.encode("utf-8")) for text in TEXTS.values()]
    assert [gpt2.decode(opening.ids.tolist()) for opening in openings] == list(TEXTS.values())


def test_a_cut_book_counts_the_bytes_of_what_is_scored(tokens: TokenFile, gpt2: Tokenizer) -> None:
    whole = tokens.books[0].tokens - 1
    openings = choose_openings(tokens, gpt2, whole + 6)
    assert [len(opening.ids) for opening in openings] == [whole, 6]
    assert openings[1].bytes == len(gpt2.decode(openings[1].ids.tolist()).encode("utf-8"))


def test_every_book_has_the_same_share_and_short_ones_leave_theirs_to_the_others() -> None:
    assert shares([100, 3, 50, 50], 63) == [20, 3, 20, 20]
    assert shares([100, 3, 50], 13) == [5, 3, 5]
    assert shares([2, 3], 100) == [2, 3]
    assert shares([5, 5, 5], 2) == [0, 1, 1]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30), st.integers(1, 10_000))
def test_shares_fill_the_limit_and_differ_by_one_where_books_go_on(lengths: list[int], limit: int) -> None:
    found = shares(lengths, limit)
    assert sum(found) == min(limit, sum(lengths))
    cut = [share for share, length in zip(found, lengths, strict=True) if share < length]
    assert not cut or max(found) - min(cut) <= 1
