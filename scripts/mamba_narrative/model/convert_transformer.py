"""Between this project's Transformer and the classes of transformers that compute the same.

With ``swiglu`` that is ``MistralForCausalLM``, whose window slides as ours does, so texts of any length agree; within
``context_length`` tokens ``LlamaForCausalLM`` is the same and takes the same weights. With ``gelu`` it is
``ArceeForCausalLM``, within ``context_length`` tokens. A tied head is not in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.errors import FileFormatError
from mamba_narrative.model.hugging_face import HEAD, HuggingFaceForm, refuse_unsupported
from mamba_narrative.model.layers import EMBEDDING_STD, NORM_EPSILON
from mamba_narrative.model.transformer import TransformerLanguageModel

HUGGING_FACE_EMBEDDING = "model.embed_tokens.weight"
_TOP = {"embedding.weight": HUGGING_FACE_EMBEDDING, "final_norm.weight": "model.norm.weight"}
_BLOCK = {
    "attention_norm": ("input_layernorm",),
    "attention.qkv_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.o_proj": ("self_attn.o_proj",),
    "mlp_norm": ("post_attention_layernorm",),
    "mlp.gate_up_proj": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.up_proj": ("mlp.up_proj",),
    "mlp.down_proj": ("mlp.down_proj",),
}
"""One matrix of ours is several of theirs, one below the other."""
_OUR_BLOCK, _THEIR_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.weight"), re.compile(r"model\.layers\.(\d+)\.")


def to_hugging_face(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the names of transformers."""
    theirs: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if match := _OUR_BLOCK.fullmatch(name):
            parts = _BLOCK[match[2]]
            names = (f"model.layers.{match[1]}.{part}.weight" for part in parts)
            theirs |= dict(zip(names, tensor.chunk(len(parts)), strict=True))
        else:
            theirs[_TOP.get(name, name)] = tensor
    return theirs


def from_hugging_face(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of ``to_hugging_face``; what it does not know keeps its name, a stored head is left out (see
    ``HuggingFaceForm``)."""
    left = {name: tensor for name, tensor in weights.items() if name != HEAD}
    ours = {name: left.pop(theirs) for name, theirs in _TOP.items() if theirs in left}
    for block in sorted({match[1] for name in left if (match := _THEIR_BLOCK.match(name))}, key=int):
        for name, parts in _BLOCK.items():
            names = [f"model.layers.{block}.{part}.weight" for part in parts]
            if all(part in left for part in names) and len({left[part].shape[1:] for part in names}) == 1:
                ours[f"blocks.{block}.{name}.weight"] = torch.cat([left.pop(part) for part in names])
    return ours | left


def hugging_face_config(model: TransformerLanguageModel, end_of_text_id: int | None) -> dict[str, Any]:
    """``config.json`` for transformers with every field of its ``MistralConfig`` or ``ArceeConfig``.

    None is left to a default: defaults differ between versions. ``vocab_size`` counts no padding, which these models
    would not mask.
    """
    settings = model.settings
    if settings.mlp == "swiglu":
        form: dict[str, Any] = {
            "architectures": ["MistralForCausalLM"],
            "model_type": "mistral",
            "hidden_act": "silu",
            "sliding_window": settings.context_length,
        }
    else:
        form = {
            "architectures": ["ArceeForCausalLM"],
            "model_type": "arcee",
            "hidden_act": "gelu",
            "attention_bias": False,
            "mlp_bias": False,
        }
    return {
        **form,
        "dtype": "float32",
        "vocab_size": model.vocab_size,
        "hidden_size": settings.d_model,
        "intermediate_size": settings.resolved_d_ff,
        "num_hidden_layers": settings.n_layer,
        "num_attention_heads": settings.resolved_n_head,
        "num_key_value_heads": settings.resolved_n_head,
        "head_dim": settings.d_model // settings.resolved_n_head,
        "max_position_embeddings": settings.context_length,
        "rope_parameters": {"rope_type": "default", "rope_theta": settings.rope_theta},
        "rope_theta": settings.rope_theta,  # where transformers before 5 looks
        "initializer_range": EMBEDDING_STD,
        "rms_norm_eps": NORM_EPSILON,
        "attention_dropout": 0.0,
        "tie_word_embeddings": settings.tie_embeddings,
        "use_cache": True,
        "bos_token_id": end_of_text_id,
        "eos_token_id": end_of_text_id,
        "pad_token_id": end_of_text_id,
    }


_ACTIVATIONS = {"mistral": "silu", "llama": "silu", "arcee": "gelu"}
_MODEL_TYPES = frozenset(_ACTIVATIONS)
_WINDOW_OF_MISTRAL = 4_096
"""Of a configuration that does not name one (``MistralConfig``)."""


def settings_from_hugging_face(config: Mapping[str, Any], ours: TransformerSettings | None) -> TransformerSettings:
    """Settings of the model that transformers builds from ``config.json``; ``ours`` are those it was written with.

    What transformers does not know, the padding, is that of ``ours``. Raises KeyError for a missing field,
    FileFormatError where one asks for something that this model does not do.
    """
    kind, heads = config["model_type"], config["num_attention_heads"]
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10_000.0)}
    context = config.get("sliding_window", _WINDOW_OF_MISTRAL) if kind == "mistral" else None
    supported = {"hidden_act": _ACTIVATIONS[kind], "rms_norm_eps": NORM_EPSILON, "num_key_value_heads": heads}
    refuse_unsupported(config, supported | {"attention_bias": False, "mlp_bias": False, "rope_scaling": None})
    refuse_unsupported(rope, {"rope_type": "default"})
    if config.get("head_dim") not in (None, config["hidden_size"] / heads):
        raise FileFormatError(f"head_dim is {config['head_dim']!r}; expected hidden_size / num_attention_heads")
    found = TransformerSettings(
        d_model=config["hidden_size"],
        n_layer=config["num_hidden_layers"],
        n_head=heads,
        mlp="gelu" if kind == "arcee" else "swiglu",
        d_ff=config["intermediate_size"],
        context_length=context or config["max_position_embeddings"],
        rope_theta=rope["rope_theta"],
        pad_vocab_size_multiple=ours.pad_vocab_size_multiple if ours else 1,
        tie_embeddings=config.get("tie_word_embeddings", False),
    )
    resolved = {} if ours is None else {"n_head": ours.resolved_n_head, "d_ff": ours.resolved_d_ff}
    return ours if ours and ours.model_copy(update=resolved) == found else found


FORM = HuggingFaceForm(
    hugging_face_config,
    to_hugging_face,
    from_hugging_face,
    settings_from_hugging_face,
    HUGGING_FACE_EMBEDDING,
    _MODEL_TYPES,
)
