"""One run by several processes, which `launch` starts; or by one, for which all of this does nothing.

Every process computes its share of the rows of each batch. Sums of gradients, losses and counts over the processes make
the update the one that a single process would compute, so any number of them may continue a run. Only the first one
writes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from datetime import timedelta
from types import TracebackType

import torch
import torch.distributed as dist
from torch import Tensor

from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import State

_LOG = logging.getLogger(__name__)
_TIMEOUT = timedelta(minutes=10)
"""A process that is lost without a trace ends the others after this long."""
_BUCKET_BYTES = 64 * 2**20


class Processes:
    """The processes of a run; a context manager that joins and leaves them."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def __enter__(self) -> Processes:
        if self.count > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo", timeout=_TIMEOUT)
            _LOG.info("process %d of %d on %s", self.rank + 1, self.count, self.device)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.count > 1 and kind is None:
            dist.destroy_process_group()

    def rows(self, sequences: int) -> slice:
        """The rows of a batch that this process computes. Raises UserError where they cannot be shared out evenly."""
        if sequences % self.count:
            raise UserError(
                f"training.batch_sequences is {sequences}, which {self.count} processes cannot share evenly; choose a "
                f"multiple of {self.count}, or another number of processes"
            )
        share = sequences // self.count
        return slice(self.rank * share, (self.rank + 1) * share)

    def sum_gradients(self, parameters: Iterable[Tensor], dtype: torch.dtype = torch.float32) -> None:
        """Replace the gradient of each parameter by the sum over the processes, in few large exchanges.

        ``dtype`` is what travels and is added up; the result has the parameter's own.
        """
        if self.count == 1:
            return
        bucket: list[Tensor] = []
        size = 0
        for parameter in parameters:
            if parameter.grad is None:
                continue
            bucket.append(parameter.grad)
            size += parameter.grad.numel() * parameter.grad.element_size()
            if size >= _BUCKET_BYTES:
                _sum_together(bucket, dtype)
                bucket, size = [], 0
        _sum_together(bucket, dtype)

    def total(self, value: float) -> float:
        """The sum over the processes, in float64."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return float(tensor.item())

    def any(self, value: bool) -> bool:
        """Whether it is true in any process: all take the same turn."""
        return value if self.count == 1 else self.total(float(value)) > 0

    def of_first(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """The first process's values, for all: rounding must not let them decide differently."""
        if self.count == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return tuple(tensor.tolist())

    def gathered(self, state: State | None) -> State | None:
        """The state of all rows in their order, known to every process."""
        if self.count == 1 or state is None:
            return state
        whole: State = {}
        for name, tensor in sorted(state.items()):
            parts = [torch.empty_like(tensor) for _ in range(self.count)]
            dist.all_gather(parts, tensor.contiguous())
            whole[name] = torch.cat(parts)
        return whole

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()


def _sum_together(gradients: list[Tensor], dtype: torch.dtype) -> None:
    if not gradients:
        return
    joined = torch.cat([gradient.flatten().to(dtype) for gradient in gradients])
    dist.all_reduce(joined)
    for gradient, part in zip(gradients, joined.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
