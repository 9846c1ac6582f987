"""The gradients of all parameters in one tensor, which several processes add up while the backward pass goes on.

The tensor is cut into buckets in the order in which gradients get ready: those of what is used last come first. As soon
as a bucket is complete its sum over the processes starts, beside the rest of the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate

import torch
import torch.distributed as dist
from torch import Tensor

from mamba_narrative.training.processes import Processes

BUCKET_BYTES = 64 * 2**20
"""Of gradients that are added up together, but for a parameter that is larger."""
_ALIGNED = 64
"""Elements; kernels read several at once."""


class FlatGradients:
    """The memory of ``grad`` of each parameter; zeros for one that is not used."""

    def __init__(
        self, parameters: list[torch.nn.Parameter], processes: Processes, dtype: torch.dtype = torch.float32
    ) -> None:
        """parameters: in the order of their use; dtype: what travels between processes and is added up there."""
        self._parameters, self._processes, self._dtype = parameters[::-1], processes, dtype
        sizes = [-(-parameter.numel() // _ALIGNED) * _ALIGNED for parameter in self._parameters]
        self._all = parameters[0].new_zeros(sum(sizes))
        self._parts = [
            part[: parameter.numel()].view_as(parameter)
            for parameter, part in zip(self._parameters, self._all.split(sizes), strict=True)
        ]
        self._bucket_of = _bucket_of(sizes, BUCKET_BYTES // self._all.element_size())
        ends = dict(zip(self._bucket_of, accumulate(sizes), strict=True))
        self._buckets = list(self._all.tensor_split(list(ends.values())[:-1]))

    def begin(self) -> None:
        """Give every parameter a gradient of zeros."""
        self._all.zero_()
        for parameter, part in zip(self._parameters, self._parts, strict=True):
            parameter.grad = part

    @contextmanager
    def summed(self, trial: bool = False) -> Iterator[None]:
        """Around the last backward pass of an update: after it, gradients are sums over the processes.

        Every process adds up all buckets in the same order, whichever parameters its rows used. A ``trial`` takes the
        memory of that and exchanges nothing. Raises RuntimeError where a gradient changes after its sum has started.
        """
        sums = _Sums(self._buckets, self._bucket_of, None if trial else self._processes, self._dtype)
        hooks = [
            # Called once in a backward pass, also for a parameter that is used in several places.
            parameter.register_post_accumulate_grad_hook(partial(sums.complete, number))
            for number, parameter in enumerate(self._parameters)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        sums.finish()


class _Sums:
    """Those of one backward pass."""

    def __init__(
        self, buckets: list[Tensor], bucket_of: list[int], processes: Processes | None, dtype: torch.dtype
    ) -> None:
        self._buckets, self._bucket_of, self._processes, self._dtype = buckets, bucket_of, processes, dtype
        self._missing: list[set[int]] = [set() for _ in buckets]
        for number, bucket in enumerate(bucket_of):
            self._missing[bucket].add(number)
        self._started: list[tuple[Tensor, dist.Work | None]] = []
        """What travels, and what to wait for where it does, by bucket."""

    def complete(self, number: int, _: Tensor) -> None:
        """The gradient of this parameter is. Starts what is complete up to the first bucket that is not."""
        bucket = self._bucket_of[number]
        if bucket < len(self._started):
            raise RuntimeError("a gradient changed after its sum over the processes had started")
        self._missing[bucket].discard(number)
        while len(self._started) < len(self._buckets) and not self._missing[len(self._started)]:
            self._start_next()

    def finish(self) -> None:
        """Start what is left, then wait; on a GPU it is the current stream that waits."""
        while len(self._started) < len(self._buckets):
            self._start_next()
        for values, (travelling, work) in zip(self._buckets, self._started, strict=True):
            if work:
                work.wait()
            if travelling is not values:
                values.copy_(travelling)

    def _start_next(self) -> None:
        travelling = self._buckets[len(self._started)].to(self._dtype)  # no copy where it is that already
        self._started.append((travelling, self._processes.start_sum(travelling) if self._processes else None))


def _bucket_of(sizes: list[int], limit: int) -> list[int]:
    """The bucket of each part: the next one where it would not fit into the last."""
    numbers, bucket, filled = [], 0, 0
    for size in sizes:
        if filled and filled + size > limit:
            bucket, filled = bucket + 1, 0
        filled += size
        numbers.append(bucket)
    return numbers
