"""A trained model as a folder to hand on: transformers' form, and mamba-ssm's own below it where there is one."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import torch

from mamba_narrative.errors import UserError
from mamba_narrative.io import atomic_directory, write_bytes, write_json, write_text
from mamba_narrative.model.convert_mamba import mamba_ssm_config, to_mamba_ssm
from mamba_narrative.model.mamba import MambaLanguageModel
from mamba_narrative.model.storage import CONFIG, WEIGHTS, load_model, unpadded_weights

CARD = "README.md"
MAMBA_SSM = "mamba_ssm"
MAMBA_SSM_WEIGHTS = "pytorch_model.bin"
"""The only name that ``MambaLMHeadModel.from_pretrained`` looks for."""


def export_model(model_directory: Path, card: str, output: Path) -> None:
    """Write the folder ``output`` in one go: all files of ``model_directory`` with ``card`` as their model card.

    A Mamba gets a folder ``mamba_ssm`` too, which ``MambaLMHeadModel.from_pretrained`` reads. Raises UserError where
    ``model_directory`` holds no model.
    """
    if not (model_directory / WEIGHTS).is_file():
        raise UserError(f"{model_directory}: no {WEIGHTS}; expected the folder `model` of a trained run")
    model = load_model(model_directory)
    with atomic_directory(output) as beside:
        for path in sorted(model_directory.iterdir()):
            if path.is_file():  # the folder of recorded hashes is this project's alone
                shutil.copyfile(path, beside / path.name)
        write_text(beside / CARD, card)
        if isinstance(model, MambaLanguageModel):
            _write_mamba_ssm(model, beside / MAMBA_SSM)


def _write_mamba_ssm(model: MambaLanguageModel, folder: Path) -> None:
    # Its format is a pickle of tensors. This project writes it and never reads one.
    weights, stream = to_mamba_ssm(unpadded_weights(model)), io.BytesIO()
    torch.save({name: tensor.detach().clone() for name, tensor in weights.items()}, stream)
    write_json(folder / CONFIG, mamba_ssm_config(model))
    write_bytes(folder / MAMBA_SSM_WEIGHTS, stream.getvalue())
