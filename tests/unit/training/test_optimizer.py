from __future__ import annotations

import torch

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.training.optimizer import build_optimizer, load_optimizer_tensors, optimizer_tensors
from unit.training.stand_in import recurrent_model

SETTINGS = TrainingSettings(steps=1, warmup_steps=0, learning_rate=0.01, weight_decay=0.5)


def test_only_matrices_that_the_model_does_not_exempt_are_decayed() -> None:
    model = recurrent_model()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model, SETTINGS)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        decays = name in {"embedding.weight", "recurrence.weight_ih_l0", "recurrence.weight_hh_l0"}
        expected = before[name] * (1 - 0.01 * 0.5) if decays else before[name]
        torch.testing.assert_close(parameter.detach(), expected)


def test_an_update_is_adamws_formula() -> None:
    model = recurrent_model()
    optimizer = build_optimizer(model, SETTINGS.model_copy(update={"weight_decay": 0.0}))
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
        optimizer.step()
    torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-5, atol=1e-6)


def test_state_travels_by_parameter_name() -> None:
    models = [recurrent_model(), recurrent_model()]
    first, second = (build_optimizer(model, SETTINGS) for model in models)
    for parameter in models[0].parameters():
        parameter.grad = torch.ones_like(parameter)
    first.step()
    load_optimizer_tensors(second, optimizer_tensors(first))
    found, expected = optimizer_tensors(second), optimizer_tensors(first)
    assert found.keys() == expected.keys()
    assert {key.split("/")[1] for key in found} == {"step", "exp_avg", "exp_avg_sq"}
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor)
