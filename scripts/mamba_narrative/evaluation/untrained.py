"""A run that has learned nothing: a model with its initial weights, measured like any other."""

from __future__ import annotations

from pathlib import Path

from mamba_narrative.config.runs import AnyRun
from mamba_narrative.io import write_json
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import RECORD, model_hashes, save_model
from mamba_narrative.tokens.tokenizer import load_tokenizer

NAME = "untrained"


def initialise_run(like: str, run: AnyRun, tokenizer_name: str, output: Path) -> None:
    """Write `model/` and `run.json` of a run that starts as the run ``like`` does and takes no step.

    Raises UserError for a tokenizer that is not there.
    """
    tokenizer = load_tokenizer(tokenizer_name)
    model = build_model(run.architecture, run.model, tokenizer.vocab_size, run.training.seed)
    record = {
        "run": NAME,
        "initial_weights_of": like,
        "architecture": run.architecture,
        "settings": run.model_dump(mode="json"),
        "parameters": model.parameter_count(),
        "steps": 0,
        "tokenizer": tokenizer.describe(),
    }
    weights_sha256 = save_model(model, run, output / "model", tokenizer.end_of_text_id)
    hashes = {"weights_sha256": weights_sha256, "model_sha256": model_hashes(output / "model")}
    write_json(output / RECORD, record | hashes)
