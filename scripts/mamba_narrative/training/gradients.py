"""The gradient of one batch, part by part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mamba_narrative.model.interface import LanguageModel, State, detach_state
from mamba_narrative.tokens.batches import Rows
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.loss import summed_cross_entropy


@dataclass(frozen=True)
class Accumulated:
    """What adding up a batch gives besides the gradients."""

    loss_nats: float
    """Sum of the losses of these rows over the targets of the whole batch."""
    state: State
    """After the last position of every row, without gradient."""


def accumulate_gradients(
    model: LanguageModel,
    rows: Rows,
    state: State | None,
    targets_of_batch: int,
    micro_batch: int,
    compute: Compute,
    z_loss: float = 0.0,
) -> Accumulated:
    """Add the gradient of the mean loss of a batch to that of each parameter, ``micro_batch`` rows at a time.

    ``rows`` are the whole batch or some of it, ``state`` is theirs. Every part is divided by the targets of the whole
    batch, so the sum is the full batch's gradient however padding falls.
    """
    loss, states = 0.0, []
    for first in range(0, len(rows.inputs), micro_batch):
        chosen = slice(first, first + micro_batch)
        part = rows.part(chosen)
        inputs, targets = _on(part.inputs, compute.device), _on(part.targets, compute.device)
        # Where resets are is looked at on the CPU, without waiting for the GPU.
        resets = None if part.resets is None or not part.resets.any() else _on(part.resets, compute.device)
        before = None if state is None else {name: tensor[chosen] for name, tensor in state.items()}
        with compute.autocast():
            hidden, after = model(inputs, before, resets)
        total, _ = summed_cross_entropy(
            hidden, model.head_weight(), model.vocab_size, targets, compute.dtype, z_loss=z_loss
        )
        (total / targets_of_batch).backward()
        loss += total.item() / targets_of_batch
        states.append(detach_state(after))
    joined = {name: torch.cat([part[name] for part in states]) for name in states[0]}
    return Accumulated(loss, joined)


def _on(array: object, device: torch.device) -> Tensor:
    return torch.as_tensor(array).to(device, non_blocking=True)
