"""A continuation comes piece by piece, in whole characters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mamba_narrative.config.architectures import MambaSettings
from mamba_narrative.config.runs import MambaRun
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


def test_the_command_writes_prompt_and_continuation(model, tmp_path):
    run = MambaRun.model_validate({"architecture": "mamba", "model": SETTINGS.model_dump(), "training": {}})
    save_model(model, run, tmp_path / "run" / "model", 50_256)
    script = Path(__file__).parents[3] / "scripts" / "generate.py"
    command = [sys.executable, str(script), str(tmp_path / "run"), "--tokens", "5", "--device", "cpu"]
    done = subprocess.run(command, input="Once upon", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Once upon")
    assert len(done.stdout) > len("Once upon") + 5
