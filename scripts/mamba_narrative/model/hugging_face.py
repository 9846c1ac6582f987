"""The form in which transformers opens a model, for every architecture that has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mamba_narrative.errors import UserError
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
    """Without a stored head, ``convert.HEAD``: whether it is another than the embedding, only the values say."""
    settings: Callable[[Mapping[str, Any], Any], Any] | None = None
    """Settings from ``config.json`` and those that the model was written with, if any. None: always the latter."""
    embedding: str | None = None
    """transformers' name of the embedding, where the head may be it or a matrix of its own."""
    model_types: frozenset[str] = frozenset()
    """transformers' names of the models that are of this form."""


def _own_config(model: LanguageModel, end_of_text_id: int | None) -> dict[str, Any]:
    return {"model_type": f"mamba_narrative.{model.architecture}", "dtype": "float32"}


_OWN = HuggingFaceForm(_own_config, dict, dict)
_FORMS = {
    "mamba": HuggingFaceForm(
        convert.hugging_face_config,
        convert.to_hugging_face,
        convert.from_hugging_face,
        convert.settings_from_hugging_face,
        convert.HUGGING_FACE_EMBEDDING,
        frozenset({"mamba"}),
    ),
    "transformer": HuggingFaceForm(
        convert_transformer.hugging_face_config,
        convert_transformer.to_hugging_face,
        convert_transformer.from_hugging_face,
        convert_transformer.settings_from_hugging_face,
        convert_transformer.HUGGING_FACE_EMBEDDING,
        convert_transformer.MODEL_TYPES,
    ),
}


def find_form(architecture: str) -> HuggingFaceForm:
    """The form of ``architecture``; one that transformers cannot open is kept under our own names."""
    return _FORMS.get(architecture, _OWN)


def architecture_of(model_type: object) -> str:
    """The architecture that computes what transformers calls ``model_type``. Raises UserError where there is none."""
    known = {kind: name for name, form in _FORMS.items() for kind in form.model_types}
    if not isinstance(model_type, str) or model_type not in known:
        raise UserError(f"model_type is {model_type!r}; only {', '.join(sorted(known))} are supported")
    return known[model_type]


def transformers_opens(architecture: str) -> bool:
    """Whether transformers has a class that computes this architecture."""
    return architecture in _FORMS
