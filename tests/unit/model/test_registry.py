"""The table of architectures."""

import pytest

from mamba_narrative.config.architectures import MambaSettings
from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.config.runs import RUN_TYPES, RunSettings
from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import ARCHITECTURES, build_model


def test_every_entry_builds_a_language_model_of_its_own_name():
    for name, entry in ARCHITECTURES.items():
        model = build_model(name, entry.settings.model_validate({"d_model": 16, "n_layer": 1}), 11, seed=1)
        assert isinstance(model, LanguageModel)
        assert model.architecture == name


def test_a_run_can_name_exactly_the_entries():
    assert set(RUN_TYPES) == set(ARCHITECTURES)
    for name, entry in ARCHITECTURES.items():
        run = RunSettings.model_validate({"architecture": name}).root
        assert (run.architecture, type(run.model)) == (name, entry.settings)


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="'rnn' is unknown; there are: mamba, transformer"):
        build_model("rnn", MambaSettings(), 11, seed=1)


def test_settings_of_something_else_are_a_bug():
    with pytest.raises(TypeError, match="takes MambaSettings"):
        build_model("mamba", DuplicatesSettings(), 11, seed=1)
