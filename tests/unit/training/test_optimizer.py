from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.training.optimizer import Optimizer
from unit.training.stand_in import RecurrentModel, recurrent_model

SETTINGS = TrainingSettings(steps=1, warmup_steps=0, learning_rate=0.01, weight_decay=0.5)
DECAYED = {"embedding.weight", "recurrence.weight_ih_l0", "recurrence.weight_hh_l0"}
OPTIMIZERS = ["adamw", "muon"]


def give_gradients(model: RecurrentModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def values(model: RecurrentModel) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def chosen(optimizer: str, **changes: Any) -> TrainingSettings:
    return SETTINGS.model_copy(update={"optimizer": optimizer, **changes})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_its_role_says_is_decayed_and_nothing_else(name: str) -> None:
    model = recurrent_model()
    optimizer = Optimizer(model, chosen(name))
    before = values(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.01, 0.5)
    for name, tensor in values(model).items():
        expected = before[name] * (1 - 0.01 * 0.5) if name in DECAYED else before[name]
        torch.testing.assert_close(tensor, expected)


def test_an_update_is_adamws_formula() -> None:
    model = recurrent_model()
    optimizer = Optimizer(model, SETTINGS)
    weight = model.mixing.weight
    moments = [torch.zeros_like(weight, dtype=torch.float64) for _ in range(2)]
    expected = weight.detach().double()
    for step in (1, 2, 3):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step))
        assert weight.grad is not None
        gradient = weight.grad.double()
        moments[0] = 0.9 * moments[0] + 0.1 * gradient
        moments[1] = 0.95 * moments[1] + 0.05 * gradient**2
        expected -= 0.01 * (moments[0] / (1 - 0.9**step)) / ((moments[1] / (1 - 0.95**step)).sqrt() + 1e-8)
        optimizer.step(0.01, 0.0)
    torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_travels_by_parameter_name(name: str) -> None:
    models = [recurrent_model(), recurrent_model()]
    first, second = (Optimizer(model, chosen(name)) for model in models)
    give_gradients(models[0], 1)
    first.step(0.01, 0.5)
    second.load({key: tensor.clone() for key, tensor in first.tensors().items()})
    models[1].load_state_dict(models[0].state_dict())
    quantities = {"step", "exp_avg", "exp_avg_sq"} | ({"momentum"} if name == "muon" else set())
    assert {key.split("/")[1] for key in second.tensors()} == quantities
    for model, optimizer in zip(models, (first, second), strict=True):
        give_gradients(model, 2)
        optimizer.step(0.01, 0.5)
    assert second.tensors().keys() == first.tensors().keys()
    for key, tensor in first.tensors().items():
        assert torch.equal(second.tensors()[key], tensor), key
    for key, tensor in values(models[0]).items():
        assert torch.equal(values(models[1])[key], tensor), key


# AdamW begins anew for a parameter without state, as at the start.
@pytest.mark.parametrize(("name", "change"), [("adamw", "unknown"), ("muon", "unknown"), ("muon", "missing")])
def test_the_state_of_another_model_is_refused(name: str, change: str) -> None:
    model = recurrent_model()
    optimizer = Optimizer(model, chosen(name))
    give_gradients(model, 1)
    optimizer.step(0.01, 0.5)
    tensors = optimizer.tensors()
    tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith("mixing.weight")}
    if change == "unknown":
        tensors["other.weight/exp_avg"] = torch.zeros(3)
    with pytest.raises(KeyError):
        optimizer.load(tensors)


def test_muon_is_for_matrices_of_layers_and_adamw_for_the_rest() -> None:
    model = recurrent_model()
    optimizer = Optimizer(model, chosen("muon"))
    give_gradients(model, 1)
    optimizer.step(0.01, 0.5)
    matrices = {"recurrence.weight_ih_l0", "recurrence.weight_hh_l0", "mixing.weight"}
    kept = {quantity: set[str]() for quantity in ("momentum", "exp_avg")}
    for key in optimizer.tensors():
        name, quantity = key.split("/")
        kept.get(quantity, set()).add(name)
    assert kept == {"momentum": matrices, "exp_avg": dict(model.named_parameters()).keys() - matrices}
