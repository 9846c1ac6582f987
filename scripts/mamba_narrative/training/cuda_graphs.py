"""Kernels as CUDA graphs: recorded once and replayed, so that the GPU never waits for the processor.

A replay starts the same kernels in the same order as the code that was recorded, with the same results.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from mamba_narrative.model.interface import State

_LOG = logging.getLogger(__name__)
Result = TypeVar("Result")


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
    draw: Tensor | None = None
    """int64 [2]: what masks of dropout are drawn from (see ``model.dropout.Site``); None where nothing is dropped."""

    def tensors(self) -> dict[str, Tensor]:
        """Those that are there, by name."""
        named = {"ids": self.ids, "targets": self.targets, "share": self.share}
        if self.resets is not None:
            named["resets"] = self.resets
        if self.draw is not None:
            named["draw"] = self.draw
        return named | {f"state/{name}": tensor for name, tensor in (self.state or {}).items()}

    def copied(self) -> PartInputs:
        """The same values in memory of its own."""
        state = None if self.state is None else {name: tensor.clone() for name, tensor in self.state.items()}
        resets, draw = (None if tensor is None else tensor.clone() for tensor in (self.resets, self.draw))
        return PartInputs(self.ids.clone(), self.targets.clone(), resets, state, self.share.clone(), draw)


PartGradient = Callable[[PartInputs, bool], tuple[Tensor, State]]
"""Adds the gradient of a part to ``grad`` of each parameter, and then, where that is true, adds up the gradients of all
processes. Returns the sum of its losses and the state after it."""


class CudaGraphs:
    """A ``PartGradient`` that records what it sees a second time, by the shapes of the inputs.

    What it sees first is computed as usual, which takes as much memory as what is recorded keeps: that is freed before,
    and recorded again later. So one part's memory is enough, however many shapes there are.
    Recorded kernels write to the same gradients every time: ``grad`` of each parameter must stay where it is.
    Recorded sums over the processes are their connection's: ``forget`` them before it is closed, which waits for that.
    They have no timeout when they are replayed: start a sum that is not recorded before waiting for the device.
    """

    def __init__(self, compute: PartGradient) -> None:
        self._compute = compute
        self._seen: set[tuple[object, ...]] = set()
        self._recorded: dict[tuple[object, ...], _PartGraph] = {}
        self._pool: Any = None
        self._works = True

    def __call__(self, inputs: PartInputs, summing: bool) -> tuple[Tensor, State]:
        """See ``PartGradient``; what is returned is valid until the next call."""
        key = (summing, *((name, tensor.shape) for name, tensor in inputs.tensors().items()))
        if key not in self._seen:
            self.forget()
        elif key not in self._recorded and self._works:
            self._record(key, inputs, summing)
        self._seen.add(key)
        if key in self._recorded:
            return self._recorded[key].replay(inputs)
        return self._compute(inputs, summing)

    def forget(self) -> None:
        """Free what was recorded; it will be recorded again when it is seen again."""
        self._recorded.clear()
        self._pool = None

    def _record(self, key: tuple[object, ...], inputs: PartInputs, summing: bool) -> None:
        # Nothing is computed or exchanged by recording: where it fails, other processes may record and replay.
        recorded = _recorded(lambda: _PartGraph(self._compute, inputs, summing, self._pool))
        if recorded is None:
            self._works = False
        else:
            self._recorded[key], self._pool = recorded, recorded.pool


class _PartGraph:
    def __init__(self, compute: PartGradient, inputs: PartInputs, summing: bool, pool: Any) -> None:
        self._inputs = inputs.copied()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._result = compute(self._inputs, summing)
        self.pool = self._graph.pool()

    def replay(self, inputs: PartInputs) -> tuple[Tensor, State]:
        given = inputs.tensors()
        for name, tensor in self._inputs.tensors().items():
            tensor.copy_(given[name], non_blocking=True)
        self._graph.replay()
        total, state = self._result
        # The memory of graphs is shared between them.
        return total.clone(), {name: tensor.clone() for name, tensor in state.items()}


class FixedGraph(Generic[Result]):
    """A computation on tensors that stay where they are, recorded the second time they are found there.

    The first time loads kernels and takes memory as usual. Its results stay where they are, too, until the next call.
    """

    def __init__(self, compute: Callable[[], Result]) -> None:
        self._compute = compute
        self._places: tuple[int, ...] | None = None
        self._recorded: tuple[torch.cuda.CUDAGraph, Result] | None = None
        self._works = True

    def __call__(self, moving: Sequence[Tensor]) -> Result:
        """moving: those tensors that may lie elsewhere than last time."""
        places = tuple(tensor.data_ptr() for tensor in moving)
        if places != self._places:
            self._places, self._recorded = places, None
            return self._compute()
        if self._recorded is None and self._works:
            self._recorded = _recorded(self._record)
            self._works = self._recorded is not None
        if self._recorded is None:
            return self._compute()
        graph, result = self._recorded
        graph.replay()
        return result

    def _record(self) -> tuple[torch.cuda.CUDAGraph, Result]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            return graph, self._compute()


def _recorded(record: Callable[[], Result]) -> Result | None:
    """None, and a warning, where it fails."""
    try:
        return record()
    except RuntimeError as error:  # memory, or an architecture that waits for the GPU
        _LOG.warning(
            "the kernels of a step cannot be recorded as a CUDA graph, steps may be slower (training.cuda_graphs): %s",
            str(error).splitlines()[0],
        )
        torch.cuda.empty_cache()
        return None
