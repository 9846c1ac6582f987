from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_inputs import SETTINGS, random_text, write_heading, write_split

from mamba_narrative.config.architectures.mamba import MambaRun
from mamba_narrative.io import write_json
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import save_model
from mamba_narrative.tokens.tokenizer import Tokenizer, load_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return load_tokenizer("gpt2")


@pytest.fixture(scope="session")
def token_directory(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    directory = tmp_path_factory.mktemp("tokens")
    write_split(directory, "train", {str(n): random_text(n, 300) for n in range(3)}, tokenizer)
    write_split(directory, "test", {"7": random_text(7, 200), "8": random_text(8, 90), "9": "Short."}, tokenizer)
    write_heading(directory, "7")
    return directory


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "small"
    model = build_model("mamba", SETTINGS, tokenizer.vocab_size, seed=1)
    save_model(model, MambaRun(architecture="mamba", model=SETTINGS), directory / "model", tokenizer.end_of_text_id)
    write_json(directory / "run.json", {"tokenizer": tokenizer.describe()})
    return directory
