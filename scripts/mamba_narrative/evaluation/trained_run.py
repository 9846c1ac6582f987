"""Opening a trained run for its evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from mamba_narrative.errors import UserError
from mamba_narrative.io import read_json
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.storage import load_model
from mamba_narrative.tokens.tokenizer import Tokenizer


def choose_device(device: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Where to compute, in float32 without TensorFloat-32, so that results compare between devices.

    Raises UserError where a GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise UserError(
            "evaluation: device is 'cuda', but torch finds no GPU; install the torch build for the driver, "
            "or set device to auto or cpu"
        )
    torch.set_float32_matmul_precision("highest")
    return torch.device("cuda" if has_gpu and device != "cpu" else "cpu")


def load_run(run_directory: Path, tokenizer: Tokenizer, device: torch.device) -> LanguageModel:
    """The model of a run in evaluation mode. Raises UserError where it was trained with another tokenizer."""
    record = run_directory / "run.json"
    trained_with = read_json(record).get("tokenizer", {}).get("sha256")
    if trained_with != tokenizer.sha256:
        raise UserError(
            f"{record}: trained with another tokenizer (sha256 {trained_with}) than the one of the test tokens "
            f"({tokenizer.sha256}): train the run again"
        )
    return load_model(run_directory / "model", device)
