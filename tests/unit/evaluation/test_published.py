from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

import command_calls
import evaluate_published
from mamba_narrative.config.evaluation import EvaluationSettings, LikelihoodSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.held_out import held_out_books, open_tokens
from mamba_narrative.evaluation.published import token_windows
from mamba_narrative.evaluation.summary import summarise
from mamba_narrative.io import read_json, write_json
from mamba_narrative.model.storage import load_model
from mamba_narrative.tokens.tokenizer import Tokenizer

SETTINGS = '{"max_tokens_per_book": 150, "context_tokens": 64, "bootstrap_samples": 100, "device": "cpu"}'

SETTINGS_OF_SUMMARY = LikelihoodSettings(bootstrap_samples=100)


def summarised(folder):
    return read_json(folder / "likelihood.json")


def other_tokenizer(folder: Path) -> None:
    """One token a byte: another tokenizer than GPT-2's, as published models have."""
    from tokenizers import Tokenizer as Built
    from tokenizers import decoders, models, pre_tokenizers

    alphabet = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    built = Built(models.BPE({letter: rank for rank, letter in enumerate(alphabet)}, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    built.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    folder.mkdir(parents=True, exist_ok=True)
    built.save(str(folder / "tokenizer.json"))
    names = dict.fromkeys(("bos_token", "eos_token"), alphabet[0])
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of the form in which GPT-2 is published, with a tokenizer of its own."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("published") / "gpt2"
    torch.manual_seed(1)
    GPT2LMHeadModel(GPT2Config(vocab_size=257, n_positions=32, n_embd=16, n_layer=2, n_head=2)).save_pretrained(folder)
    other_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def mamba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import MambaConfig, MambaForCausalLM

    folder = tmp_path_factory.mktemp("published") / "mamba"
    torch.manual_seed(1)
    config = MambaConfig(vocab_size=264, hidden_size=16, num_hidden_layers=2, state_size=4, initializer_range=0.1)
    MambaForCausalLM(config).save_pretrained(folder)
    other_tokenizer(folder)
    return folder


def run(model: Path, tokens: Path, output: Path, settings: str = SETTINGS, extra: str = "") -> None:
    arguments = ["--model", f'{{"name": "known", "path": "{model}"{extra}}}', "--tokens", str(tokens)]
    arguments += ["--settings", settings, "--output-directory", str(output)]
    command_calls.run(evaluate_published, *arguments)
    summarise(output, "likelihood", SETTINGS_OF_SUMMARY)


def test_the_books_are_those_of_the_runs_byte_for_byte(gpt2: Path, token_directory: Path, tmp_path: Path) -> None:
    run(gpt2, token_directory, tmp_path)
    test, tokenizer = open_tokens(token_directory, "test")
    books = held_out_books(test, tokenizer, 150)
    with (tmp_path / "likelihood_books.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["book_id"], int(row["bytes"]), int(row["tokens"])) for row in rows] == [
        (book.book_id, book.bytes, book.bytes) for book in books
    ]
    report = summarised(tmp_path)
    assert report["run"] == "published/known"
    assert report["model"]["may have read these books"] == "yes"
    assert "windows of 32 tokens" in report["model"]["reads"]
    assert set(report["metrics"]) == {"bits_per_byte", "word_perplexity"}


@torch.inference_mode()
def test_a_model_with_a_longest_context_is_scored_in_windows_that_overlap_by_half(
    gpt2: Path, token_directory: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    run(gpt2, token_directory, tmp_path)
    test, tokenizer = open_tokens(token_directory, "test")
    book = held_out_books(test, tokenizer, 150)[0]
    model = AutoModelForCausalLM.from_pretrained(gpt2)
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(gpt2)(tokenizer.decode(book.ids.tolist()))["input_ids"]
    text, nats = [0, *ids], 0.0
    for position in range(1, len(text)):
        # 32 tokens are scored after at most 31 others, then always 16 after at least 16 others.
        end = min(len(ids), 32 if position <= 32 else 32 + 16 * math.ceil((position - 32) / 16))
        context = torch.tensor([text[max(0, end - 32) : position]])
        nats -= float(model(context).logits[0, -1].log_softmax(-1)[text[position]])
    with (tmp_path / "likelihood_books.csv").open() as stream:
        row = next(csv.DictReader(stream))
    assert float(row["nll_nats"]) == pytest.approx(nats, rel=1e-4)


@torch.inference_mode()
def test_a_published_mamba_reads_whole_books_with_carried_state(
    mamba: Path, token_directory: Path, tmp_path: Path
) -> None:
    run(mamba, token_directory, tmp_path)
    test, tokenizer = open_tokens(token_directory, "test")
    book = held_out_books(test, tokenizer, 150)[0]
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(mamba)(tokenizer.decode(book.ids.tolist()))["input_ids"]
    model, text = load_model(mamba), torch.tensor([[0, *ids]])
    losses = model.logits(model(text[:, :-1])[0])[0].log_softmax(-1).gather(1, text[0, 1:, None])
    with (tmp_path / "likelihood_books.csv").open() as stream:
        row = next(csv.DictReader(stream))
    assert float(row["nll_nats"]) == pytest.approx(-float(losses.sum()), rel=1e-4)
    assert "carried state" in summarised(tmp_path)["model"]["reads"]


@given(tokens=st.integers(0, 200), window=st.integers(2, 40))
def test_windows_score_every_token_once_with_half_a_window_before_it(tokens: int, window: int) -> None:
    scored: list[int] = []
    for span in token_windows(tokens, window):
        assert span.end - span.start <= window
        assert span.end - span.start == min(window, tokens)
        assert span.scored_from - span.start >= window // 2 or span.start == 0
        scored += range(span.scored_from, span.end)
    assert scored == list(range(tokens))


def test_a_tokenizer_that_changes_the_text_is_refused(gpt2: Path, token_directory: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lowercase"
    other_tokenizer(folder)
    described = read_json(folder / "tokenizer.json")
    write_json(folder / "tokenizer.json", {**described, "normalizer": {"type": "Lowercase"}})
    with pytest.raises(UserError, match="changes the text"):
        run(gpt2, token_directory, tmp_path / "out", extra=f', "tokenizer": "{folder}"')
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layer": 10**9}, "1,000,000,000 layers, but there are only 28 weights"),
        ({"n_embd": 10**6}, "many more than its files hold"),
        ({"vocab_size": 10**9}, "many more than its files hold"),
        ({"n_positions": 10**8}, "many more than its files hold"),
        ({"n_positions": 33}, "cannot open it"),
        ({"n_layer": 3}, "weights are missing, such as transformer.h.2"),
        ({"n_positions": "many"}, "no longest context"),
        ({"n_positions": True}, "no longest context"),
        ({"n_embd": [16]}, "cannot open it"),
        ({"model_type": "nothing"}, "cannot open it"),
    ],
)
def test_a_model_that_declares_what_its_files_do_not_hold_is_refused(
    gpt2: Path, token_directory: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    shutil.copytree(gpt2, tmp_path / "model")
    write_json(tmp_path / "model" / "config.json", read_json(gpt2 / "config.json") | change)
    with pytest.raises(UserError, match=message):
        run(tmp_path / "model", token_directory, tmp_path / "out")


@pytest.mark.parametrize("content", ["[" * 100_000, "1" * 5_000, "[]"])
def test_a_configuration_that_is_none_is_refused(
    gpt2: Path, token_directory: Path, tmp_path: Path, content: str
) -> None:
    shutil.copytree(gpt2, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(content)
    with pytest.raises(UserError, match="config"):
        run(tmp_path / "model", token_directory, tmp_path / "out")


def test_complex_weights_are_refused(gpt2: Path, token_directory: Path, tmp_path: Path) -> None:
    shutil.copytree(gpt2, tmp_path / "model")
    weights = safetensors.torch.load_file(gpt2 / "model.safetensors")
    weights |= {name: tensor.to(torch.complex64) for name, tensor in sorted(weights.items())[:1]}
    safetensors.torch.save_file(weights, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="numbers of type C64; expected floating point"):
        run(tmp_path / "model", token_directory, tmp_path / "out")


@pytest.mark.parametrize("kind", ["gpt2", "mamba"])
def test_a_model_in_several_files_is_measured_like_one(
    kind: str, request: pytest.FixtureRequest, token_directory: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    folder: Path = request.getfixturevalue(kind)
    shutil.copytree(folder, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path / "model", max_shard_size="10KB")
    for name in (folder, tmp_path / "model"):
        run(name, token_directory, tmp_path / name.name)
    one, several = (summarised(tmp_path / name)["metrics"] for name in (kind, "model"))
    assert one == several


def test_a_name_that_is_nowhere_is_refused_with_what_to_do(
    token_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="give the folder of a copy"):
        run(Path("no-such/model"), token_directory, tmp_path / "out")


def test_two_published_models_cannot_share_a_name() -> None:
    twice = [{"name": "known", "path": path} for path in ("a", "b")]
    with pytest.raises(ValueError, match="known is there twice"):
        EvaluationSettings.model_validate({"published": twice})


def test_a_book_cut_short_ends_with_a_whole_character(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from evaluation_inputs import write_split

    write_split(tmp_path, "test", {"1": "☃𝄞" * 40}, tokenizer)
    test, _ = open_tokens(tmp_path, "test")
    for limit in range(64, 72):
        (book,) = held_out_books(test, tokenizer, limit)
        text = tokenizer.decode(book.ids.tolist())
        assert len(text.encode()) == book.bytes
        assert limit - 3 <= len(book.ids) <= limit
        assert not text.endswith("\ufffd")
