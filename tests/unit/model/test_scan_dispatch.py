"""Which backend a name means."""

import typing

import pytest
import torch

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.errors import UserError
from mamba_narrative.model.scan import dispatch
from mamba_narrative.model.scan.dispatch import BACKENDS, Backend, resolve_backend

CPU = torch.device("cpu")


def test_auto_on_a_cpu_is_the_fast_one():
    assert resolve_backend("auto", CPU) == "cpu"


def test_settings_offer_auto_and_exactly_the_backends_of_the_table():
    offered = typing.get_args(MambaSettings.model_fields["scan_backend"].annotation)
    assert set(offered) == {"auto", *BACKENDS}


def test_auto_passes_over_what_cannot_run_and_naming_it_says_why(monkeypatch):
    broken = Backend(BACKENDS["reference"].load, lambda device: "its extension is not installed; install it")
    monkeypatch.setattr(dispatch, "BACKENDS", {"broken": broken, **BACKENDS})
    assert resolve_backend("auto", CPU) == "cpu"
    with pytest.raises(UserError, match="cannot run on cpu: its extension is not installed"):
        resolve_backend("broken", CPU)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="there are: auto, cuda, cpu, reference, mamba_ssm"):
        resolve_backend("fastest", CPU)
