"""One run by several processes, which `launch` starts; or by one, for which all of this does nothing.

Every process computes its share of the rows of each batch. Sums of gradients, losses and counts over the processes make
the update the one that a single process would compute, so any number of them may continue a run. Only the first one
writes.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from types import TracebackType

import torch
import torch.distributed as dist
from torch import Tensor

from mamba_narrative.errors import UserError
from mamba_narrative.model.interface import State

_LOG = logging.getLogger(__name__)
_TIMEOUT = timedelta(minutes=10)
"""A process that is lost without a trace, or stands still, ends the others after this long. They do not watch the sums
of a recorded step (`cuda_graphs`), but ``total`` of its losses, which waits behind them."""


class Processes:
    """The processes of a run; a context manager that joins and leaves them."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = device

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def __enter__(self) -> Processes:
        if self.count > 1:
            # Each process records its steps (`cuda_graphs`) when it comes to it, so that must not wait for the others.
            os.environ.setdefault("NCCL_GRAPH_REGISTER", "0")
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
                f"training.batch_size is {sequences}, which {self.count} processes cannot share evenly; choose a "
                f"multiple of {self.count}, or another number of processes"
            )
        share = sequences // self.count
        return slice(self.rank * share, (self.rank + 1) * share)

    def start_sum(self, values: Tensor) -> dist.Work:
        """Begin to replace ``values`` by their sum over the processes, beside what is computed meanwhile.

        Nothing may touch them until ``wait()`` of what is returned. All processes must start the same sums in the same
        order. On a GPU start and wait can be recorded as part of a CUDA graph.
        """
        work = dist.all_reduce(values, async_op=True)
        assert work is not None, "a process that is not of the run"
        return work

    def total(self, value: float | Tensor) -> float:
        """The sum over the processes, in float64.

        A tensor [] is read after its sum has started, so what the device computes until then has the sum's timeout.
        """
        if self.count == 1:
            return float(value)
        tensor = torch.as_tensor(value, dtype=torch.float64, device=self.device).clone()
        dist.all_reduce(tensor)
        return float(tensor.item())

    def any(self, value: bool) -> bool:
        """Whether it is true in any process: all take the same turn."""
        return value if self.count == 1 else self.total(float(value)) > 0

    def broadcast(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """The first process's values, for all: rounding must not let them decide differently."""
        if self.count == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return tuple(tensor.tolist())

    def all_gather(self, state: State | None) -> State | None:
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
