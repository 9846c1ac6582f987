"""Our Mamba, transformers' and mamba-ssm's are the same model."""

import copy
import dataclasses

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.errors import FileFormatError
from mamba_narrative.model.convert_mamba import (
    from_hugging_face,
    from_mamba_ssm,
    hugging_face_config,
    settings_from_hugging_face,
    to_hugging_face,
    to_mamba_ssm,
)
from mamba_narrative.model.registry import build_model, outline_model
from mamba_narrative.model.storage import unpadded_weights

SETTINGS = MambaSettings(d_model=48, n_layer=3, d_state=8)


@pytest.fixture(scope="module")
def model():
    return build_model("mamba", SETTINGS, 101, seed=2)


def test_logits_are_those_of_transformers(model):
    theirs = MambaForCausalLM(MambaConfig(**hugging_face_config(model, None))).eval()
    theirs.load_state_dict(to_hugging_face(unpadded_weights(model)), strict=False)
    ids = torch.randint(0, 101, (2, 70), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours = model.logits(model(ids)[0])[..., :101]
        expected = theirs(ids, use_cache=False).logits
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_the_configuration_leaves_no_field_of_transformers_to_a_default(model):
    config = hugging_face_config(model, 100)
    theirs = {field.name for field in dataclasses.fields(MambaConfig)} - {
        field.name for field in dataclasses.fields(MambaConfig.__mro__[1])
    }
    assert theirs | {"architectures", "model_type", "intermediate_size"} <= config.keys()
    assert MambaConfig(**config).time_step_rank == 3


def test_conversions_there_and_back_change_nothing(model):
    weights = model.state_dict()
    for there, back in ((to_hugging_face, from_hugging_face), (to_mamba_ssm, from_mamba_ssm)):
        returned = back(there(weights))
        assert list(returned) == list(weights)
        assert all(torch.equal(returned[name], weights[name]) for name in weights)


def test_mamba_ssm_gets_its_tied_head(model):
    weights = to_mamba_ssm(model.state_dict())
    assert weights["lm_head.weight"] is weights["backbone.embedding.weight"]


def test_a_published_configuration_gives_settings_back(model):
    settings = settings_from_hugging_face(hugging_face_config(model, None), None)
    found, expected = outline_model("mamba", settings, 101).state_dict(), unpadded_weights(model)
    assert {name: tensor.shape for name, tensor in found.items()} == {n: t.shape for n, t in expected.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"use_bias": True}, "use_bias is True; only False is supported"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; only 'silu' is supported"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
    ],
)
def test_a_configuration_of_another_model_is_refused(model, change, message):
    config = copy.deepcopy(hugging_face_config(model, None)) | change
    with pytest.raises(FileFormatError, match=message):
        settings_from_hugging_face(config, None)
