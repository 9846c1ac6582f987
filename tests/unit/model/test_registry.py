"""Architectures by name."""

import pytest

from mamba_narrative.config import architectures
from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.config.runs import RunSettings
from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import build_model, settings_type


@pytest.mark.parametrize("name", architectures.names())
def test_every_architecture_builds_a_language_model_of_its_own_name(name):
    run = RunSettings.model_validate({"architecture": name}).root
    assert (run.architecture, type(run.model)) == (name, settings_type(name))
    model = build_model(name, settings_type(name).model_validate({"d_model": 16, "n_layer": 1}), 11, seed=1)
    assert isinstance(model, LanguageModel)
    assert model.architecture == name


def test_an_architecture_is_its_modules_alone():
    assert architectures.names() == ["mamba", "transformer"]
    package = "mamba_narrative"
    parts = ("config.architectures.mamba", "model.mamba", "model.convert_mamba")
    assert architectures.modules_of("mamba") == [f"{package}.{part}" for part in parts]
    assert architectures.modules_of("rnn") == []


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="'rnn' is unknown; there are: mamba, transformer"):
        build_model("rnn", MambaSettings(), 11, seed=1)


def test_settings_of_something_else_are_a_bug():
    with pytest.raises(TypeError, match="takes MambaSettings"):
        build_model("mamba", DuplicatesSettings(), 11, seed=1)
