"""Models on disk: a folder that transformers opens, and from which this project gets its own model back.

Architectures that transformers does not have are kept in the same folder under their own names.

``config.json`` has transformers' fields and, under ``mamba_narrative``, the architecture, the run's settings and the
size of the vocabulary without padding. The same model gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
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
from mamba_narrative.model.hugging_face import HEAD, architecture_of, find_form
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import outline_model, settings_type
from mamba_narrative.model.weight_files import WEIGHTS, Shape, read_shapes, read_weights

CONFIG, GENERATION = "config.json", "generation_config.json"
RECORD = "run.json"
"""Lies beside the folder of a run's model."""
_OURS = "mamba_narrative"
_MOST_PADDING = 65_536


def unpadded_weights(model: LanguageModel) -> dict[str, Tensor]:
    """The state dict without the rows that pad the vocabulary.

    This project masks their scores; other programs do not, and would give them probability.
    """
    padded = model.vocabulary_matrices()
    return {
        name: tensor[: model.vocab_size] if name in padded else tensor for name, tensor in model.state_dict().items()
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

    Reads what ``save_model`` wrote, what transformers made of it (another vocabulary, several files, a head of its
    own), and published checkpoints of such models. Raises UserError where a file is missing, unreadable or not the one
    that its run recorded, or names, shapes and types of the weights do not fit ``config.json``.
    """
    directory = Path(directory)
    verify_model(directory)
    config = read_json(directory / CONFIG)
    architecture, settings, vocab_size = _declared(config, directory / CONFIG, read_shapes(directory))
    form, stored = find_form(architecture), read_weights(directory)
    weights = form.to_ours(stored)
    if form.embedding is not None:
        settings = settings.model_copy(update={"tie_embeddings": not _has_own_head(form.embedding, settings, stored)})
        if HEAD in stored and not settings.tie_embeddings:
            weights[HEAD] = stored[HEAD]
    model = _outline(directory / CONFIG, architecture, settings, vocab_size)
    _pad(model, weights)
    _check_fit(directory, model.state_dict(), weights)
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


def _declared(config: Any, path: Path, shapes: Mapping[str, Shape]) -> tuple[str, Any, int]:
    """Architecture, settings and tokens of the model that ``config`` describes, no larger than its weights.

    transformers may have changed a model since it was written here: its own fields say what it is now.
    """
    if not isinstance(config, dict):
        raise FileFormatError(f"{path}: expected a JSON object")
    try:
        architecture, settings, vocab_size = _written(config)
        form = find_form(architecture)
        if form.settings is not None:
            if (kind := config.get("model_type")) not in list(form.model_types):  # a file may hold what no set takes
                raise UserError(f"model_type is {kind!r}, but {_OURS} says {architecture!r}")
            settings, vocab_size = form.settings(config, settings), config["vocab_size"]
    except ValidationError as error:
        raise FileFormatError(f"{path}: the model's settings are not usable: {explain(error)}") from None
    except KeyError as error:
        raise FileFormatError(f"{path}: field {error} is missing") from None
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise FileFormatError(f"{path}: a field has a value of another kind than expected ({error})") from None
    except UserError as error:
        raise FileFormatError(f"{path}: {error}") from None
    rows = max((max(shape, default=0) for shape in shapes.values()), default=0)
    if not isinstance(vocab_size, int) or not 1 <= vocab_size <= rows:
        raise FileFormatError(f"{path}: vocab_size is {vocab_size!r}, but no weight has more than {rows:,} rows")
    if getattr(settings, "n_layer", 0) > len(shapes):
        raise FileFormatError(f"{path}: {settings.n_layer:,} layers, but there are only {len(shapes):,} weights")
    return architecture, settings, vocab_size


def _written(config: Mapping[str, Any]) -> tuple[str, Any, Any]:
    """What this project wrote of its own into ``config.json``; without that, the architecture alone."""
    if _OURS not in config:
        return architecture_of(config.get("model_type")), None, None
    try:
        ours = config[_OURS]
        architecture, model, vocab_size = ours["run"]["architecture"], ours["run"]["model"], ours["vocab_size"]
        return architecture, settings_type(architecture).model_validate(model), vocab_size
    except (KeyError, TypeError) as error:
        raise UserError(f"the entry {_OURS!r} is incomplete ({error})") from None


def _has_own_head(embedding: str, settings: Any, stored: Mapping[str, Tensor]) -> bool:
    """Whether the head is not the embedding. As in transformers, a head that is stored with other values is its own."""
    if HEAD not in stored or embedding not in stored:
        return not settings.tie_embeddings
    head, rows = stored[HEAD], stored[embedding]
    return not settings.tie_embeddings or head.shape != rows.shape or not bool((head == rows).all())


def _outline(path: Path, architecture: str, settings: Section, vocab_size: int) -> LanguageModel:
    try:
        model = outline_model(architecture, settings, vocab_size)
    except (RuntimeError, OverflowError, TypeError) as error:
        first = str(error).splitlines()[0]
        raise FileFormatError(f"{path}: sizes that no tensor can have ({first})") from None
    if model.padded_vocab_size - vocab_size > _MOST_PADDING:
        raise FileFormatError(f"{path}: {vocab_size:,} tokens are padded to {model.padded_vocab_size:,} rows")
    return model


def _pad(model: LanguageModel, weights: dict[str, Tensor]) -> None:
    """Add rows of zeros to the matrices of ``weights`` whose padding the file left out."""
    for name in model.vocabulary_matrices():
        if name in weights and weights[name].ndim == 2 and len(weights[name]) == model.vocab_size:
            weights[name] = F.pad(weights[name], (0, 0, 0, model.padded_vocab_size - model.vocab_size))


def _check_fit(directory: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is unknown" for name in found if name not in expected]
    faults += [
        f"{name} has shape {tuple(found[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if faults:
        shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise FileFormatError(f"{directory}: the weights do not fit {CONFIG}: {shown}")
