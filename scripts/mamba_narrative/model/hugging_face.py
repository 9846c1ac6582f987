"""The form in which transformers opens a model, for every architecture that has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mamba_narrative.config import architectures
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.model.interface import LanguageModel

Weights = Mapping[str, Tensor]
HEAD = "lm_head.weight"
"""The name of the head, in transformers too, where it is not the embedding."""


@dataclass(frozen=True)
class HuggingFaceForm:
    """How a model is written for transformers and read back."""

    config: Callable[[Any, int | None], dict[str, Any]]
    """``config.json`` from the model and the id that begins and ends a text."""
    to_theirs: Callable[[Weights], dict[str, Tensor]]
    to_ours: Callable[[Weights], dict[str, Tensor]]
    """Without a stored head, ``HEAD``: whether it is another than the embedding, only the values say."""
    settings: Callable[[Mapping[str, Any], Any], Any] | None = None
    """Settings from ``config.json`` and those that the model was written with, if any. None: always the latter."""
    embedding: str | None = None
    """transformers' name of the embedding, where the head may be it or a matrix of its own."""
    model_types: frozenset[str] = frozenset()
    """transformers' names of the models that are of this form."""


def _own_config(model: LanguageModel, end_of_text_id: int | None) -> dict[str, Any]:
    return {"model_type": f"mamba_narrative.{model.architecture}", "dtype": "float32"}


_OWN = HuggingFaceForm(_own_config, dict, dict)


def find_form(architecture: str) -> HuggingFaceForm:
    """The form of ``architecture``; one that transformers cannot open is kept under our own names."""
    return architectures.declared(architecture, architectures.FORM) or _OWN


def architecture_of(model_type: object) -> str:
    """The architecture that computes what transformers calls ``model_type``. Raises UserError where there is none."""
    known = {kind: name for name in architectures.names() for kind in find_form(name).model_types}
    if not isinstance(model_type, str) or model_type not in known:
        raise UserError(f"model_type is {model_type!r}; only {', '.join(sorted(known))} are supported")
    return known[model_type]


def refuse_unsupported(config: Mapping[str, Any], supported: Mapping[str, Any]) -> None:
    """Raise FileFormatError for a field of ``config`` that is there with another value than the one supported."""
    for field, value in supported.items():
        if config.get(field, value) != value:
            raise FileFormatError(f"{field} is {config[field]!r}; only {value!r} is supported")
