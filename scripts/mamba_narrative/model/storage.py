"""Models on disk: a folder that transformers opens, and from which this project gets its own model back.

Architectures that transformers does not have are kept in the same folder under their own names.

``config.json`` has transformers' fields and, under ``mamba_narrative``, the architecture, the run's settings and the
size of the vocabulary without padding. The same model gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from mamba_narrative.config.base import Section, explain
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import (
    atomic_directory,
    damaged,
    read_json,
    sha256_bytes,
    sha256_file,
    write_bytes,
    write_json,
)
from mamba_narrative.model.convert import settings_from_hugging_face
from mamba_narrative.model.hugging_face import find_form
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import find_architecture, outline_model

CONFIG, WEIGHTS, GENERATION = "config.json", "model.safetensors", "generation_config.json"
RECORD = "run.json"
"""Lies beside the folder of a run's model."""
_OURS = "mamba_narrative"


def unpadded_weights(model: LanguageModel) -> dict[str, Tensor]:
    """The state dict without the rows that pad the vocabulary.

    This project masks their scores; other programs do not, and would give them probability.
    """
    padded = _padded_name(model)
    return {
        name: tensor[: model.vocab_size] if name == padded else tensor for name, tensor in model.state_dict().items()
    }


def weights_bytes(model: LanguageModel) -> bytes:
    """The content of ``model.safetensors``: float32 weights under transformers' names where it has some."""
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in find_form(model.architecture).to_theirs(unpadded_weights(model)).items()
    }
    return safetensors.torch.save(tensors, metadata={"format": "pt"})


def weights_sha256(model: LanguageModel) -> str:
    """SHA-256 of the weights file that ``save_model`` would write."""
    return sha256_bytes(weights_bytes(model))


def save_model(
    model: LanguageModel,
    run: Section,
    directory: Path,
    end_of_text_id: int | None = None,
    extra_files: Mapping[str, bytes] | None = None,
) -> str:
    """Write the model's folder in one go; an older one is replaced. Returns the SHA-256 of the weights file.

    run: the settings of the run, with its ``architecture`` and ``model``. end_of_text_id: begins and ends a text, or
    None. extra_files: further files by name, such as the tokeniser's and the model card.
    """
    config = find_form(model.architecture).config(model, end_of_text_id)
    config[_OURS] = {"vocab_size": model.vocab_size, "run": run.model_dump(mode="json")}
    ends = {"bos_token_id": end_of_text_id, "eos_token_id": end_of_text_id, "pad_token_id": end_of_text_id}
    weights = weights_bytes(model)
    with atomic_directory(directory) as beside:
        write_json(beside / CONFIG, config)
        write_json(beside / GENERATION, {"do_sample": True, **ends})
        write_bytes(beside / WEIGHTS, weights)
        for name, content in sorted((extra_files or {}).items()):
            write_bytes(beside / name, content)
    return sha256_bytes(weights)


def load_model(directory: Path, device: torch.device | str = "cpu") -> LanguageModel:
    """The model in ``directory``, float32, in evaluation mode, on ``device``.

    Reads what ``save_model`` wrote and published Mamba-1 checkpoints in the form of transformers. Raises UserError
    where a file is missing or unreadable, or names or shapes of the weights do not fit ``config.json``.
    """
    directory = Path(directory)
    verify_model(directory)
    model = _outline(directory / CONFIG)
    weights = _padded(model, find_form(model.architecture).to_ours(_read_weights(directory / WEIGHTS)))
    _check_fit(directory / WEIGHTS, model.state_dict(), weights)
    model.load_state_dict({name: tensor.to(device, torch.float32) for name, tensor in weights.items()}, assign=True)
    return model.requires_grad_().eval()


def model_hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of each file of a model's folder, by name, as ``run.json`` beside the folder records them."""
    return {path.name: sha256_file(path) for path in sorted(directory.iterdir()) if path.is_file()}


def verify_model(directory: Path) -> None:
    """Raise FileFormatError where a file in ``directory`` is not the one that ``run.json`` beside it records.

    A folder without one is of others, or was handed on.
    """
    record = directory.parent / RECORD
    if not record.is_file():
        return
    run = read_json(record)
    if not isinstance(run, dict):
        raise FileFormatError(f"{record}: expected a JSON object")
    for name, sha256 in (run.get("model_sha256") or {WEIGHTS: run.get("weights_sha256")}).items():
        if sha256 and (directory / name).is_file() and sha256_file(directory / name) != sha256:
            raise damaged(directory / name, record)


def _padded_name(model: LanguageModel) -> str | None:
    """The parameter whose rows are the vocabulary and its padding."""
    head = model.head_weight()
    return next((name for name, parameter in model.named_parameters() if parameter is head), None)


def _padded(model: LanguageModel, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """``weights`` with rows of zeros for padding that the file left out."""
    name, padding = _padded_name(model), model.padded_vocab_size - model.vocab_size
    if name in weights and weights[name].ndim == 2 and len(weights[name]) == model.vocab_size:
        weights[name] = F.pad(weights[name], (0, 0, 0, padding))
    return weights


def _outline(path: Path) -> LanguageModel:
    config = read_json(path)
    if not isinstance(config, dict):
        raise FileFormatError(f"{path}: expected a JSON object")
    try:
        if _OURS not in config:
            settings, vocab_size = settings_from_hugging_face(config)
            return outline_model("mamba", settings, vocab_size)
        ours: dict[str, Any] = config[_OURS]
        architecture, vocab_size = ours["run"]["architecture"], int(ours["vocab_size"])
        settings = find_architecture(architecture).settings.model_validate(ours["run"]["model"])
        return outline_model(architecture, settings, vocab_size)
    except ValidationError as error:
        raise FileFormatError(f"{path}: the model's settings are not usable: {explain(error)}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: the entry {_OURS!r} is incomplete ({error})") from None
    except UserError as error:
        raise FileFormatError(f"{path}: {error}") from None


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"{path}: not found; a model folder has {CONFIG} and {WEIGHTS} (pickled weights are not read)")
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise FileFormatError(f"{path}: not a complete safetensors file ({error}); copy or train it again") from None


def _check_fit(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is unknown" for name in found if name not in expected]
    faults += [
        f"{name} has shape {tuple(found[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if faults:
        shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise FileFormatError(f"{path}: the weights do not fit {CONFIG}: {shown}")
