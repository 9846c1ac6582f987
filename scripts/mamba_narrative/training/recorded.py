"""Parts of a batch as CUDA graphs: recorded once and replayed, so that the GPU never waits for the processor.

A replay starts the same kernels in the same order as the code that was recorded, with the same results.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mamba_narrative.model.interface import State

_LOG = logging.getLogger(__name__)
_ALIGNED = 64
"""Elements; kernels read several at once."""


@dataclass(frozen=True)
class PartInputs:
    """What the gradient of a part of a batch is computed from, on the device."""

    ids: Tensor
    """int64 [rows, sequence_length]."""
    targets: Tensor
    """Like ``ids``; ``IGNORED_TARGET`` where there is none."""
    resets: Tensor | None
    """bool, like ``ids``; None where no book starts inside of a row."""
    state: State | None
    """Before the first position."""
    share: Tensor
    """float32 []: what the sum of losses is multiplied with for the gradient."""

    def tensors(self) -> dict[str, Tensor]:
        """Those that are there, by name."""
        named = {"ids": self.ids, "targets": self.targets, "share": self.share}
        if self.resets is not None:
            named["resets"] = self.resets
        return named | {f"state/{name}": tensor for name, tensor in (self.state or {}).items()}

    def copied(self) -> PartInputs:
        """The same values in memory of its own."""
        state = None if self.state is None else {name: tensor.clone() for name, tensor in self.state.items()}
        resets = None if self.resets is None else self.resets.clone()
        return PartInputs(self.ids.clone(), self.targets.clone(), resets, state, self.share.clone())


PartGradient = Callable[[PartInputs], tuple[Tensor, State]]
"""Adds the gradient of a part to ``grad`` of each parameter; returns the sum of its losses and the state after it."""


class Gradients:
    """The gradients of all parameters in one tensor, so that zeros are one kernel."""

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self._parameters = parameters
        sizes = [-(-parameter.numel() // _ALIGNED) * _ALIGNED for parameter in parameters]
        self._all = parameters[0].new_zeros(sum(sizes))
        self._parts = [
            part[: parameter.numel()].view_as(parameter)
            for parameter, part in zip(parameters, self._all.split(sizes), strict=True)
        ]

    def begin(self) -> None:
        """Give every parameter a gradient of zeros."""
        self._all.zero_()
        for parameter, part in zip(self._parameters, self._parts, strict=True):
            parameter.grad = part


class Recorder:
    """A ``PartGradient`` that records what it sees a second time, by the shapes of the inputs.

    Recorded kernels write to the same gradients every time, so these stay: ``begin`` sets them to zero.
    """

    def __init__(self, compute: PartGradient, parameters: list[torch.nn.Parameter]) -> None:
        self._compute, self._parameters = compute, parameters
        self._gradients: Gradients | None = None
        self._seen: set[tuple[object, ...]] = set()
        self._recorded: dict[tuple[object, ...], _Recorded] = {}
        self._pool: Any = None
        self._works = True

    def begin(self) -> None:
        """Zero gradients for a new batch."""
        if self._gradients is None:
            self._gradients = Gradients(self._parameters)
        self._gradients.begin()

    def __call__(self, inputs: PartInputs) -> tuple[Tensor, State]:
        """See ``PartGradient``; what is returned is valid until the next call."""
        key = tuple((name, tensor.shape) for name, tensor in inputs.tensors().items())
        if key in self._seen and key not in self._recorded and self._works:
            self._record(key, inputs)
        self._seen.add(key)
        if key in self._recorded:
            return self._recorded[key].replay(inputs)
        return self._compute(inputs)

    def _record(self, key: tuple[object, ...], inputs: PartInputs) -> None:
        try:
            recorded = _Recorded(self._compute, inputs, self._pool)
        except RuntimeError as error:  # memory, or an architecture that waits for the GPU
            self._works = False
            _LOG.warning(
                "the kernels of a step cannot be recorded as a CUDA graph, steps may be slower (training.cuda_graphs): "
                "%s",
                str(error).splitlines()[0],
            )
            torch.cuda.empty_cache()
        else:
            self._recorded[key], self._pool = recorded, recorded.pool


class _Recorded:
    def __init__(self, compute: PartGradient, inputs: PartInputs, pool: Any) -> None:
        self._inputs = inputs.copied()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._result = compute(self._inputs)
        self.pool = self._graph.pool()

    def replay(self, inputs: PartInputs) -> tuple[Tensor, State]:
        given = inputs.tensors()
        for name, tensor in self._inputs.tensors().items():
            tensor.copy_(given[name], non_blocking=True)
        self._graph.replay()
        total, state = self._result
        # The memory of graphs is shared between them.
        return total.clone(), {name: tensor.clone() for name, tensor in state.items()}
