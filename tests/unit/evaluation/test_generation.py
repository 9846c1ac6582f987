from __future__ import annotations

import numpy as np
import pytest
import torch
from evaluation_inputs import random_text, small_model, write_split
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.config.evaluation import GenerationSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation import copying
from mamba_narrative.evaluation.continuations import Continuations, write_generation
from mamba_narrative.evaluation.copying import copied_runs
from mamba_narrative.evaluation.passages import Passage, choose_passages
from mamba_narrative.evaluation.sampling import continue_passages, random_numbers, sample_tokens
from mamba_narrative.evaluation.summary import summarise
from mamba_narrative.io import read_json
from mamba_narrative.progress import Progress
from mamba_narrative.tokens.reader import TokenFile


def sample(batch_size=64, rows=slice(None), top_p=0.9):
    generator = np.random.default_rng(1)
    prompts = generator.integers(0, 49, (6, 12)).astype(np.uint16)
    passages = [Passage(str(n), n, row, row) for n, row in enumerate(prompts)]
    uniforms = random_numbers(passages, seed=3, count=20)
    with Progress("sampling", None, "tokens") as progress:
        return continue_passages(small_model(), prompts[rows], uniforms[rows], 49, 0.9, top_p, progress, batch_size)


def test_what_is_sampled_beside_a_passage_does_not_change_its_continuation():
    together = sample()
    assert (together == sample(batch_size=1)).all()
    assert (together == sample(batch_size=4)).all()
    assert (together[2:3] == sample(rows=slice(2, 3))).all()
    assert len(np.unique(together, axis=0)) == 6


def test_the_end_of_text_and_padding_are_never_drawn():
    assert sample(top_p=1.0).max() < 49


def test_stepping_with_carried_state_is_reading_the_whole_text_again():
    model = small_model()
    continuation = sample(rows=slice(0, 1))[0]
    prompt = np.random.default_rng(1).integers(0, 49, (6, 12))[0]
    uniforms = random_numbers([Passage("0", 0, np.empty(0), np.empty(0))], seed=3, count=20)
    ids = prompt.tolist()
    for step in range(20):
        with torch.no_grad():
            scores = model.logits(model(torch.tensor([ids]))[0][:, -1])
        scores[:, 49] = float("-inf")
        ids.append(int(sample_tokens(scores, uniforms[:, step : step + 1], 0.9, 0.9)))
    assert ids[12:] == continuation.tolist()


@pytest.mark.parametrize("vocabulary", [5, 3000])
def test_draws_follow_the_nucleus_of_the_distribution(vocabulary):
    scores = torch.from_numpy(np.random.default_rng(1).normal(size=(1, vocabulary)))
    probabilities = (scores[0] / 0.8).softmax(-1)
    order = probabilities.argsort(descending=True).tolist()
    kept, mass = [], 0.0
    while mass < 0.95:
        kept.append(order[len(kept)])
        mass += probabilities[kept[-1]].item()
    drawn = sample_tokens(scores, torch.linspace(0, 1, 200_001, dtype=torch.float64)[None, :-1], 0.8, 0.95)[0]
    shares = torch.bincount(drawn, minlength=vocabulary) / 200_000
    assert set(drawn.tolist()) == set(kept)
    for token in kept[:5]:
        assert shares[token].item() == pytest.approx(probabilities[token].item() / mass, abs=2e-4)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    passages=st.integers(1, 12),
    prompt=st.integers(1, 8),
    continuation=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_passages_lie_within_books_and_do_not_overlap(lengths, passages, prompt, continuation, seed):
    tokens = books_of(lengths)
    if max(lengths) - 1 < prompt + continuation:
        with pytest.raises(UserError, match="prompt_tokens"):
            choose_passages(tokens, passages, prompt, continuation, seed)
        return
    chosen = choose_passages(tokens, passages, prompt, continuation, seed)
    room = sum((length - 1) // (prompt + continuation) for length in lengths)
    assert len(chosen) == min(passages, room)
    used = set()
    for passage in chosen:
        book = tokens.books[int(passage.book_id)]
        text = tokens.book_ids(book)[:-1]
        both = np.concatenate((passage.prompt, passage.human))
        assert (text[passage.start : passage.start + prompt + continuation] == both).all()
        places = {(passage.book_id, passage.start + offset) for offset in range(len(both))}
        assert not places & used
        used |= places
    assert [(p.book_id, p.start) for p in chosen] == [
        (p.book_id, p.start) for p in choose_passages(tokens, passages, prompt, continuation, seed)
    ]


def books_of(lengths):
    from pathlib import Path

    from mamba_narrative.tokens.reader import BookTokens

    tokens = TokenFile.__new__(TokenFile)
    firsts = np.cumsum([0, *lengths])
    tokens.path = Path("test.bin")
    tokens.ids = np.arange(firsts[-1], dtype=np.uint16)
    tokens.books = [BookTokens(str(n), int(firsts[n]), length, 0, 0, 0) for n, length in enumerate(lengths)]
    return tokens


def test_passages_come_from_as_many_books_as_possible(tmp_path, tokenizer):
    write_split(tmp_path, "test", {str(n): random_text(n, 200) for n in range(5)}, tokenizer)
    chosen = choose_passages(TokenFile(tmp_path, "test"), 7, 8, 8, seed=1)
    counts = [sum(p.book_id == str(n) for p in chosen) for n in range(5)]
    assert sorted(counts) == [1, 1, 1, 2, 2]


@given(
    training=st.lists(st.integers(0, 1), min_size=0, max_size=80),
    texts=st.lists(st.lists(st.integers(0, 1), min_size=0, max_size=30), min_size=1, max_size=3),
    n=st.integers(8, 12),
)
def test_copied_runs_are_those_that_a_plain_search_finds(training, texts, n):
    found = copied_runs([np.array(t, np.uint16) for t in texts], np.array(training, np.uint16))
    known = {tuple(training[i : i + n]) for i in range(len(training) - n + 1)}
    spelt = "".join(map(str, training))
    for text, copied in zip(texts, found, strict=True):
        grams = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
        assert copied.share(n) == (pytest.approx(sum(g in known for g in grams) / len(grams)) if grams else None)
        own = "".join(map(str, text))
        runs = (own[i:j] for i in range(len(own)) for j in range(i + 8, len(own) + 1))
        assert copied.longest == max((len(run) for run in runs if run in spelt), default=0)


def test_text_that_repeats_itself_is_compared_only_from_where_runs_begin(monkeypatch):
    compared = []

    def counting(flat, here, training, there):
        compared.append(len(here))
        return common_lengths(flat, here, training, there)

    common_lengths = copying._common_lengths
    monkeypatch.setattr(copying, "_common_lengths", counting)
    (copied,) = copied_runs([np.zeros(300, np.uint16)], np.zeros(4_000, np.uint16))
    assert (copied.longest, copied.share(8)) == (300, 1.0)
    assert sum(compared) <= 300 + 4_000


def test_copies_across_the_pieces_of_the_training_tokens_are_whole(monkeypatch):
    training = np.random.default_rng(1).integers(0, 60_000, 100).astype(np.uint16)
    monkeypatch.setattr("mamba_narrative.evaluation.copying._CHUNK_TOKENS", 16)
    other = np.concatenate((training[20:70], [0], training[5:40])).astype(np.uint16)
    whole, parts, short = copied_runs([training, other, other[:7]], training)
    assert (whole.share(8), whole.share(32), whole.longest) == (1.0, 1.0, 100)
    assert (parts.longest, parts.share(32)) == (50, (19 + 4) / (86 - 31))
    assert (short.longest, short.share(8)) == (0, None)


def test_shorter_n_grams_than_are_looked_for_are_refused():
    (copied,) = copied_runs([np.arange(20, dtype=np.uint16)], np.arange(9, dtype=np.uint16))
    assert copied.share(8) == pytest.approx(2 / 13)
    with pytest.raises(ValueError, match="at least 8"):
        copied.share(4)


def test_metrics_have_intervals_over_books_and_a_reason_where_they_are_missing(tokenizer, tmp_path):
    ids = np.array(tokenizer.encode(" the end. The end" * 8)[:16], np.uint16)
    passages = [Passage(str(n), 0, ids, ids) for n in (1, 1, 2)]
    continuations = Continuations(passages, np.stack([ids[None]] * 3))
    settings = GenerationSettings(bootstrap_samples=100)
    write_generation("small", continuations, ids, tokenizer, tmp_path)
    summarise(tmp_path, "generation", settings)
    metrics = read_json(tmp_path / "generation.json")["metrics"]
    assert metrics["seq_rep_4"]["n"] == 2
    assert metrics["copied_8_fraction"]["value"] == 1.0
    assert metrics["loop_fraction"]["value"] == 1.0
    assert metrics["longest_copy"]["value"] == 16
    assert metrics["names_kept"]["reason"]
    assert metrics["copied_32_fraction"]["value"] is None
    assert metrics["copied_32_fraction"]["reason"]
    lines = (tmp_path / "generation_books.csv").read_text().splitlines()
    assert "longest_copy,1,2,2,32" in lines
