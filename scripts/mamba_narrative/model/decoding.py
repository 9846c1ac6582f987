"""Reading a prompt and then one token after the other, in constant memory.

On a GPU a single token is far less work than launching its kernels one by one: steps are recorded once as a CUDA graph
and replayed, with the state kept in place.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mamba_narrative.model.interface import LanguageModel, State

_WARM_UP_STEPS = 2


class Decoder:
    """What a model has read so far, and its scores of the next token.

    ``dtype``: type of the matrix products on a GPU (autocast), None for that of the weights.
    """

    def __init__(self, model: LanguageModel, dtype: torch.dtype | None = None) -> None:
        self.model, self.dtype = model, dtype
        self._state: State | None = None
        self._step: _RecordedStep | None = None
        self._reading_by_steps = False
        """Whether the newest state is that of ``_step``."""

    def forget(self) -> None:
        """Begin with a new text; a recorded step stays for texts of the same batch."""
        self._state = None
        self._reading_by_steps = False

    @torch.inference_mode()
    def read(self, ids: Tensor) -> Tensor:
        """Scores [batch, padded_vocab_size] of the next token after ``ids`` int64 [batch, length].

        ``ids`` follow what was read before; the batch stays the same. The result is valid until the next call.
        """
        if self._state is not None and ids.shape[1] == 1:
            return self._recorded(ids, self._state) if ids.is_cuda else self._one(ids, self._state)
        if self._reading_by_steps and self._step is not None:
            self._state, self._reading_by_steps = self._step.state, False
        scores, self._state = self._read(ids, self._state)
        return scores

    def _recorded(self, ids: Tensor, state: State) -> Tensor:
        if self._step is None or not self._step.fits(ids):
            self._step = _RecordedStep(self._one, ids, state)
        elif not self._reading_by_steps:
            self._step.continue_from(state)
        self._reading_by_steps = True
        return self._step(ids)

    def _read(self, ids: Tensor, state: State | None) -> tuple[Tensor, State]:
        with self._autocast(ids.device):
            hidden, after = self.model(ids, state)
            return self.model.logits(hidden[:, -1]), after

    def _one(self, ids: Tensor, state: State) -> Tensor:
        with self._autocast(ids.device):
            return self.model.logits(self.model.step(ids, state)[:, -1])

    def _autocast(self, device: torch.device) -> AbstractContextManager[object]:
        if self.dtype is None:
            return nullcontext()
        # Casts that autocast keeps would belong to the memory of a graph.
        return torch.autocast(device.type, dtype=self.dtype, cache_enabled=False)


class _RecordedStep:
    """One step as a CUDA graph that reads and writes the same ids, state and scores every time."""

    def __init__(self, step: Callable[[Tensor, State], Tensor], ids: Tensor, state: State) -> None:
        self.state = {name: tensor.clone() for name, tensor in state.items()}
        self._ids = ids.clone()
        side = torch.cuda.Stream(ids.device)
        side.wait_stream(torch.cuda.current_stream(ids.device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP_STEPS):
                step(self._ids, self.state)
        torch.cuda.current_stream(ids.device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._scores = step(self._ids, self.state)
        self.continue_from(state)

    def fits(self, ids: Tensor) -> bool:
        return ids.shape == self._ids.shape and ids.device == self._ids.device

    def continue_from(self, state: State) -> None:
        for name, tensor in state.items():
            self.state[name].copy_(tensor)

    def __call__(self, ids: Tensor) -> Tensor:
        self._ids.copy_(ids)
        self._graph.replay()
        return self._scores
