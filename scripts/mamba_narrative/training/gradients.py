"""The gradient of one batch, part by part."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mamba_narrative.model.dropout import Dropout
from mamba_narrative.model.interface import LanguageModel, State, detach_state
from mamba_narrative.tokens.batches import Rows
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.cuda_graphs import CudaGraphs, PartInputs
from mamba_narrative.training.flat_gradients import FlatGradients
from mamba_narrative.training.loss import summed_cross_entropy
from mamba_narrative.training.processes import Processes


@dataclass(frozen=True)
class Accumulated:
    """What adding up a batch gives besides the gradients."""

    part_losses: Tensor
    """float32 [parts]: the sums of losses of the parts, on the device."""
    targets_of_batch: int
    state: State
    """After the last position of every row, without gradient; empty where it is not kept."""

    def loss_nats(self) -> Tensor:
        """Sum of the losses of these rows over the targets of the whole batch: float64 [], on the device."""
        return self.part_losses.sum(dtype=torch.float64) / self.targets_of_batch


class GradientSum:
    """Adds the gradient of the mean loss of a batch to that of each parameter, some rows at a time."""

    def __init__(
        self,
        model: LanguageModel,
        compute: Compute,
        z_loss: float = 0.0,
        keep_state: bool = True,
        record: bool = False,
        processes: Processes | None = None,
        reduction: torch.dtype = torch.float32,
        dropout: Dropout | None = None,
    ) -> None:
        """keep_state: whether the state after the rows is wanted; record: replay a GPU's kernels from CUDA graphs.

        reduction: the type in which gradients travel between several processes; dropout: the rates, None for none.
        """
        self._model, self._compute, self._z_loss, self._keep_state = model, compute, z_loss, keep_state
        self._dropout = dropout or Dropout()
        self._processes, self._reduction = processes or Processes(compute.device), reduction
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._graphs = CudaGraphs(self._part) if record and compute.device.type == "cuda" else None

    def add(
        self,
        rows: Rows,
        state: State | None,
        targets_of_batch: int,
        micro_batch: int,
        trial: bool = False,
        dropout_key: int = 0,
    ) -> Accumulated:
        """Add up ``rows``, which are the whole batch or some of it, ``micro_batch`` of them at a time.

        ``state`` is theirs, ``targets_of_batch`` the number of targets in the whole batch: every part is divided by it,
        so the sum is the full batch's gradient however padding falls. No parameter has a gradient before; each that is
        trained has one after, zeros where nothing used it: the optimiser treats it alike, whatever else is chosen here.
        Of several processes each adds up its own rows, and all get the gradient of all; not so in a ``trial``, which
        only shows whether memory suffices: it takes as much, but needs no other process, and nothing is recorded.
        ``dropout_key``, signed 64 bits, chooses what is dropped, row by row whatever the parts are.
        """
        several = self._processes.count > 1
        if self._graphs or several:
            self._gradients.begin()
        compute = partial(self._part, trial=True) if trial else self._graphs or self._part
        share = torch.tensor(1 / targets_of_batch).to(self._compute.device, non_blocking=True)
        losses, states = [], []
        for first in range(0, len(rows.inputs), micro_batch):
            inputs = self._inputs(rows, state, slice(first, first + micro_batch), share, dropout_key)
            summing = several and first + micro_batch >= len(rows.inputs)
            loss, after = compute(inputs, summing)
            losses.append(loss)
            states.append(after)
        for parameter in self._trained:
            if parameter.grad is None:  # not with flat gradients
                parameter.grad = torch.zeros_like(parameter)
        joined = {name: torch.cat([part[name] for part in states]) for name in states[0]}
        return Accumulated(torch.stack(losses), targets_of_batch, joined)

    def forget_recorded(self) -> None:
        """Free what was recorded, which must precede the end of ``processes``."""
        if self._graphs:
            self._graphs.forget()

    @cached_property
    def _gradients(self) -> FlatGradients:
        return FlatGradients(self._trained, self._processes, self._reduction)

    def _inputs(self, rows: Rows, state: State | None, chosen: slice, share: Tensor, dropout_key: int) -> PartInputs:
        part, device = rows.part(chosen), self._compute.device
        # Where resets are is looked at on the CPU, without waiting for the GPU.
        resets = None if part.resets is None or not part.resets.any() else _on(part.resets, device)
        before = None if state is None else {name: tensor[chosen] for name, tensor in state.items()}
        draw = _on(np.array([dropout_key, part.first]), device) if self._dropout.any else None
        return PartInputs(_on(part.inputs, device), _on(part.targets, device), resets, before, share, draw)

    def _part(self, inputs: PartInputs, summing: bool, trial: bool = False) -> tuple[Tensor, State]:
        with self._model.dropping(replace(self._dropout, draw=inputs.draw)):
            with self._compute.autocast():
                hidden, after = self._model(inputs.ids, inputs.state, inputs.resets)
            total, _ = summed_cross_entropy(
                hidden,
                self._model.head_weight(),
                self._model.vocab_size,
                inputs.targets,
                self._compute.dtype,
                z_loss=self._z_loss,
            )
            with self._gradients.summed(trial) if summing else nullcontext():
                (total * inputs.share).backward()
        return total.detach(), (detach_state(after) or {}) if self._keep_state else {}


def _on(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
