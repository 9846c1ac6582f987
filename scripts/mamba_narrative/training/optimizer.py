"""AdamW with weight decay on matrices only, and its state by parameter name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.model.interface import LanguageModel


def build_optimizer(model: LanguageModel, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) over all trained parameters.

    Weight decay shrinks parameters of two or more dimensions that the model does not exempt; biases and norm weights
    have one dimension and are spared.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    decayed = [name for name, tensor in trained.items() if tensor.ndim >= 2 and name not in model.no_weight_decay]
    spared = [name for name in trained if name not in set(decayed)]
    groups = [
        {"params": [(name, trained[name]) for name in decayed], "weight_decay": settings.weight_decay},
        {"params": [(name, trained[name]) for name in spared], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=1e-8,
        fused=True,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Use ``learning_rate`` for the next update of every group."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's memory as ``<parameter>/<quantity>``: tensors, shared with the optimiser."""
    state = optimizer.state_dict()
    names = _names(state)
    return {
        f"{names[number]}/{quantity}": tensor
        for number, quantities in state["state"].items()
        for quantity, tensor in quantities.items()
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what ``optimizer_tensors`` gave. Raises KeyError for a parameter that the optimiser does not have."""
    state = optimizer.state_dict()
    numbers = {name: number for number, name in _names(state).items()}
    restored: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, quantity = key.rsplit("/", 1)
        restored.setdefault(numbers[name], {})[quantity] = tensor
    optimizer.load_state_dict({"state": restored, "param_groups": state["param_groups"]})


def _names(state: dict) -> dict[int, str]:
    return {
        number: name
        for group in state["param_groups"]
        for number, name in zip(group["params"], group["param_names"], strict=True)
    }
