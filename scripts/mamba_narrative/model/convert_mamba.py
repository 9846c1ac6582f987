"""Between this project's Mamba and the two other forms in which people keep one.

mamba-ssm's ``MambaLMHeadModel`` has the same names and stores the tied head again. transformers' ``MambaForCausalLM``
says ``backbone.embeddings`` and leaves a tied head out of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.model.hugging_face import HEAD, HuggingFaceForm, refuse_unsupported
from mamba_narrative.model.layers import EMBEDDING_STD, NORM_EPSILON
from mamba_narrative.model.mamba import DT_FLOOR, DT_MAX, DT_MIN, MambaLanguageModel

_EMBEDDING, HUGGING_FACE_EMBEDDING = "backbone.embedding.weight", "backbone.embeddings.weight"


def to_hugging_face(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the names of transformers' ``MambaForCausalLM``."""
    return {HUGGING_FACE_EMBEDDING if name == _EMBEDDING else name: tensor for name, tensor in weights.items()}


def from_hugging_face(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of ``to_hugging_face``; a stored head is left out (see ``HuggingFaceForm``)."""
    return {
        _EMBEDDING if name == HUGGING_FACE_EMBEDDING else name: tensor
        for name, tensor in weights.items()
        if name != HEAD
    }


def to_mamba_ssm(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict as mamba-ssm's ``MambaLMHeadModel.load_state_dict`` takes it."""
    return {HEAD: weights[_EMBEDDING], **weights}


def from_mamba_ssm(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of ``to_mamba_ssm``."""
    return {name: tensor for name, tensor in weights.items() if name != HEAD}


def hugging_face_config(model: MambaLanguageModel, end_of_text_id: int | None) -> dict[str, Any]:
    """``config.json`` for transformers with every field of its ``MambaConfig``.

    None is left to a default: defaults differ between versions, and some are not mamba-ssm's. ``vocab_size`` counts
    no padding, which these models would not mask.
    """
    settings = model.settings
    return {
        "architectures": ["MambaForCausalLM"],
        "model_type": "mamba",
        "dtype": "float32",
        "vocab_size": model.vocab_size,
        "hidden_size": settings.d_model,
        "intermediate_size": settings.expand * settings.d_model,
        "expand": settings.expand,
        "num_hidden_layers": settings.n_layer,
        "state_size": settings.d_state,
        "conv_kernel": settings.d_conv,
        "time_step_rank": settings.resolved_dt_rank,
        "time_step_scale": 1.0,
        "time_step_min": DT_MIN,
        "time_step_max": DT_MAX,
        "time_step_init_scheme": "random",
        "time_step_floor": DT_FLOOR,
        "use_bias": False,
        "use_conv_bias": True,
        "hidden_act": "silu",
        "initializer_range": EMBEDDING_STD,
        # The weights were initialised with the rescaling, but true would make transformers (5.23) divide the
        # loaded `out_proj` weights by sqrt(n_layer) once more: its initialisation runs after loading, unguarded there.
        "rescale_prenorm_residual": False,
        "residual_in_fp32": True,
        "layer_norm_epsilon": NORM_EPSILON,
        "tie_word_embeddings": settings.tie_embeddings,
        "use_cache": True,
        "use_mambapy": False,
        "use_associative_scan": True,
        "bos_token_id": end_of_text_id,
        "eos_token_id": end_of_text_id,
        "pad_token_id": end_of_text_id,
    }


def mamba_ssm_config(model: MambaLanguageModel) -> dict[str, Any]:
    """``config.json`` of mamba-ssm with every field of its ``MambaConfig``; ``to_mamba_ssm`` of the unpadded weights
    fits it."""
    settings = model.settings
    return {
        "d_model": settings.d_model,
        "d_intermediate": 0,
        "n_layer": settings.n_layer,
        "vocab_size": model.vocab_size,
        "ssm_cfg": {
            "layer": "Mamba1",
            "d_state": settings.d_state,
            "d_conv": settings.d_conv,
            "expand": settings.expand,
            "dt_rank": settings.resolved_dt_rank,
        },
        "attn_layer_idx": [],
        "attn_cfg": {},
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
        "pad_vocab_size_multiple": 1,
        "tie_embeddings": settings.tie_embeddings,
    }


_ONLY_SUPPORTED: dict[str, Any] = {
    "use_bias": False,
    "use_conv_bias": True,
    "hidden_act": "silu",
    "layer_norm_epsilon": NORM_EPSILON,
}


def settings_from_hugging_face(config: Mapping[str, Any], ours: MambaSettings | None) -> MambaSettings:
    """Settings of the model that transformers builds from ``config.json``; ``ours`` are those it was written with.

    What transformers does not know, the padding and the scan, is that of ``ours``. Raises KeyError for a missing field,
    FileFormatError where one asks for something that this model does not do.
    """
    refuse_unsupported(config, _ONLY_SUPPORTED)
    found = MambaSettings(
        d_model=config["hidden_size"],
        n_layer=config["num_hidden_layers"],
        d_state=config["state_size"],
        d_conv=config["conv_kernel"],
        expand=config["expand"],
        dt_rank=config["time_step_rank"],
        pad_vocab_size_multiple=ours.pad_vocab_size_multiple if ours else 1,
        scan_backend=ours.scan_backend if ours else "auto",
        tie_embeddings=config.get("tie_word_embeddings", True),
    )
    return ours if ours and ours.model_copy(update={"dt_rank": ours.resolved_dt_rank}) == found else found


FORM = HuggingFaceForm(
    hugging_face_config,
    to_hugging_face,
    from_hugging_face,
    settings_from_hugging_face,
    HUGGING_FACE_EMBEDDING,
    frozenset({"mamba"}),
)
