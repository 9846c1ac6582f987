"""The form in which transformers opens a model, for every architecture that has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mamba_narrative.model import convert, convert_transformer
from mamba_narrative.model.interface import LanguageModel

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class HuggingFaceForm:
    """How a model is written for transformers and read back."""

    config: Callable[[Any, int | None], dict[str, Any]]
    """``config.json`` from the model and the id that begins and ends a text."""
    to_theirs: Callable[[Weights], dict[str, Tensor]]
    to_ours: Callable[[Weights], dict[str, Tensor]]


def _own_config(model: LanguageModel, end_of_text_id: int | None) -> dict[str, Any]:
    return {"model_type": f"mamba_narrative.{model.architecture}", "dtype": "float32"}


_OWN = HuggingFaceForm(_own_config, dict, dict)
_FORMS = {
    "mamba": HuggingFaceForm(convert.hugging_face_config, convert.to_hugging_face, convert.from_hugging_face),
    "transformer": HuggingFaceForm(
        convert_transformer.hugging_face_config,
        convert_transformer.to_hugging_face,
        convert_transformer.from_hugging_face,
    ),
}


def find_form(architecture: str) -> HuggingFaceForm:
    """The form of ``architecture``; one that transformers cannot open is kept under our own names."""
    return _FORMS.get(architecture, _OWN)


def transformers_opens(architecture: str) -> bool:
    """Whether transformers has a class that computes this architecture."""
    return architecture in _FORMS
