"""A continuation comes piece by piece, in whole characters."""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import torch

import command_calls
import generate
from mamba_narrative.config.architectures.mamba import MambaRun, MambaSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation import streaming
from mamba_narrative.evaluation.streaming import continuation_ids, stream_text
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import save_model
from mamba_narrative.tokens.tokenizer import load_tokenizer

SETTINGS = MambaSettings(d_model=16, n_layer=1, d_state=4)


@pytest.fixture(scope="module")
def model():
    return build_model("mamba", SETTINGS, 50_257, seed=1).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("gpt2")


def test_greedy_ids_are_the_most_likely_ones_of_reading_everything_again(model):
    ids = [5, 9, 2]
    found = list(continuation_ids(model, ids, 6, temperature=0, top_p=1.0, seed=1))
    for token in found:
        with torch.no_grad():
            assert token == int(model.logits(model(torch.tensor([ids]))[0][:, -1]).argmax())
        ids.append(token)


def test_the_seed_decides_what_is_drawn(model):
    def drawn(seed):
        return list(continuation_ids(model, [1], 8, temperature=1.0, top_p=0.9, seed=seed))

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize("text", ["The sea was grey.", "naïve — “so” 雪が降る 🐎🐎", "é" * 9])
def test_pieces_are_whole_characters_and_add_up(monkeypatch, model, tokenizer, text):
    monkeypatch.setattr(streaming, "continuation_ids", lambda *arguments: iter(tokenizer.encode(text)))
    pieces = list(stream_text(model, tokenizer, "", 100))
    assert "".join(pieces) == text
    assert len(pieces) > 1


def test_the_end_of_the_text_ends_it(monkeypatch, model, tokenizer):
    ids = [*tokenizer.encode("The end."), tokenizer.end_of_text_id, *tokenizer.encode("more")]
    monkeypatch.setattr(streaming, "continuation_ids", lambda *arguments: iter(ids))
    assert "".join(stream_text(model, tokenizer, "", 100)) == "The end."


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = MambaRun.model_validate({"architecture": "mamba", "model": SETTINGS.model_dump(), "training": {}})
    save_model(model, run, folder / "model", 50_256)
    return folder


def run(folder, *arguments):
    command_calls.run(generate, folder, "--tokens", "5", "--device", "cpu", *arguments)


def standard_input(content):
    """As Python opens it where it does not know better: undecodable bytes become lone surrogates."""
    return TextIOWrapper(BytesIO(content), encoding="ascii", errors="surrogateescape")


def test_the_command_writes_prompt_and_continuation_also_where_the_locale_is_not_utf8(folder):
    script = Path(__file__).parents[3] / "scripts" / "generate.py"
    command = [sys.executable, str(script), str(folder), "--tokens", "5", "--device", "cpu"]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, input="naïve — 雪 🐎".encode(), capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith("naïve — 雪 🐎")
    assert len(done.stdout.decode()) > len("naïve — 雪 🐎") + 5


@pytest.mark.parametrize("prompt", ["Once upon", "naïve — 雪 🐎", "one\ntwo\n"])
def test_a_prompt_and_standard_input_are_the_same(folder, monkeypatch, capsysbinary, prompt):
    run(folder, "--prompt", prompt)
    from_flag = capsysbinary.readouterr().out
    monkeypatch.setattr(sys, "stdin", standard_input(b"\xef\xbb\xbf" + prompt.replace("\n", "\r\n").encode()))
    run(folder)
    assert capsysbinary.readouterr().out == from_flag
    assert from_flag.decode().startswith(prompt)


@pytest.mark.parametrize("text", [b"caf\xe9", b"\xff\xfeO", b"\xed\xa0\x80", b"\xf0\x9f\x90"])
def test_a_prompt_that_is_no_utf8_is_refused(folder, monkeypatch, text):
    with pytest.raises(UserError, match=r"--prompt: not UTF-8 at byte \d; convert"):
        run(folder, "--prompt", os.fsdecode(text))
    monkeypatch.setattr(sys, "stdin", standard_input(text))
    with pytest.raises(UserError, match=r"standard input: not UTF-8 at byte \d; convert"):
        run(folder)


@pytest.mark.parametrize("arguments", [["--tokens", "1000000000000"], ["--seed", str(2**70)], ["--seed", "-1"]])
def test_numbers_beyond_what_is_possible_are_refused(folder, arguments, capsys):
    with pytest.raises(SystemExit):
        run(folder, "--prompt", "It", *arguments)
    assert "is not a whole number" in capsys.readouterr().err
