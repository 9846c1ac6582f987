"""The optimiser of a model: which update and which weight decay each parameter gets, and its memory by name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.training.muon import Muon


class Optimizer:
    """AdamW (Loshchilov and Hutter 2019); for the layers' matrices Muon where it is chosen.

    Weight decay shrinks the parameters whose role says so.
    """

    def __init__(self, model: LanguageModel, settings: TrainingSettings, dtype: torch.dtype = torch.float32) -> None:
        """dtype: of Muon's matrix products, float32 or bfloat16."""
        roles = model.roles
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        matrices = {
            name: parameter
            for name, parameter in trained.items()
            if settings.optimizer == "muon" and roles[name].kind == "matrix"
        }
        self.muon = Muon(
            matrices,
            roles,
            settings.muon_momentum,
            settings.muon_nesterov,
            settings.muon_split_fused,
            dtype,
            record=settings.cuda_graphs and any(parameter.is_cuda for parameter in matrices.values()),
        )
        groups = [
            {
                "params": [
                    (name, parameter)
                    for name, parameter in trained.items()
                    if name not in matrices and roles[name].decayed == decayed
                ],
                "decayed": decayed,
            }
            for decayed in (True, False)
        ]
        self.adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=1e-8,
            fused=True,
        )

    def step(self, learning_rate: float, weight_decay: float) -> None:
        """Update every parameter by its gradient."""
        for group in self.adamw.param_groups:
            group["lr"], group["weight_decay"] = learning_rate, weight_decay if group["decayed"] else 0.0
        self.muon.step(learning_rate, weight_decay)  # first: a GPU has work while the processor starts AdamW's kernels
        self.adamw.step()

    def tensors(self) -> dict[str, Tensor]:
        """What it remembers as ``<parameter>/<quantity>``: tensors, shared with the optimiser."""
        state = self.adamw.state_dict()
        names = _names(state)
        return self.muon.tensors() | {
            f"{names[number]}/{quantity}": tensor
            for number, quantities in state["state"].items()
            for quantity, tensor in quantities.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``tensors`` gave. Raises KeyError where that was of other parameters."""
        tensors = dict(tensors)
        for key, tensor in self.muon.tensors().items():
            tensor.copy_(tensors.pop(key))
        state = self.adamw.state_dict()
        numbers = {name: number for number, name in _names(state).items()}
        restored: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            name, quantity = key.rsplit("/", 1)
            restored.setdefault(numbers[name], {})[quantity] = tensor
        self.adamw.load_state_dict({"state": restored, "param_groups": state["param_groups"]})


def _names(state: dict) -> dict[int, str]:
    return {
        number: name
        for group in state["param_groups"]
        for number, name in zip(group["params"], group["param_names"], strict=True)
    }
