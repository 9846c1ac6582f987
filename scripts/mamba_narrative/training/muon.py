"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum whose singular values are made about equal.

Matrices of one shape are updated together, and on a GPU their kernels replayed from a CUDA graph: these are many and
short. ``torch.optim.Muon`` (2.13) computes the same one by one, so that a GPU waits for the processor, knows no joined
matrices, and rounds to bfloat16 on a CPU, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mamba_narrative.cuda.products import add_batched_product
from mamba_narrative.model.interface import Role
from mamba_narrative.training.cuda_graphs import FixedGraph

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Jordan's factors of x, x^3 and x^5: ``ROUNDS`` times applied, they bring singular values to between 0.68 and 1.14."""
ROUNDS = 5
_GROUPS = (2, 2, 1)
"""Rounds computed together, by products along the shorter side alone. Three together blow up in bfloat16: eigenvalues
of x x^T below its rounding become negative, and grow from round to round until it is computed anew."""
_GROUPED_FROM = 1.5
"""Longer by shorter side: two rounds take 4 ratio + 10 times shorter^3 operations together, 8 ratio + 4 one by one."""
UPDATE_RMS = 0.2
"""Root mean square of an update's elements at learning rate 1, by the factor 0.2 sqrt(max(rows, columns)): like
AdamW's, so that both share learning rate and weight decay (Liu et al. 2025, arXiv 2502.16982, section 2.2)."""
_SMALLEST_NORM = 1e-7
_ALIGNED = 64
"""Elements; kernels read several at once."""


class Muon:
    """The optimiser of matrices; their values move to memory that those of one shape share."""

    def __init__(
        self,
        matrices: Mapping[str, nn.Parameter],
        roles: Mapping[str, Role],
        momentum: float,
        nesterov: bool,
        split: bool,
        dtype: torch.dtype,
        record: bool = False,
    ) -> None:
        """matrices, roles: by name. split: make the parts of joined matrices orthogonal, each on its own.

        dtype: of the matrix products, float32 or bfloat16. record: replay a GPU's kernels from a CUDA graph.
        """
        alike: dict[tuple[torch.Size, Role], dict[str, nn.Parameter]] = {}
        # Last layer first: so their gradients lie in memory (`flat_gradients`).
        for name, parameter in reversed(list(matrices.items())):
            alike.setdefault((parameter.shape, roles[name]), {})[name] = parameter
        self._stacks = [
            _Stack(parameters, role.decayed, role.parts if split else (), momentum, nesterov, dtype)
            for (_, role), parameters in alike.items()
        ]
        self._graph = FixedGraph(self._updates) if record else None

    @torch.no_grad()
    def step(self, learning_rate: float, weight_decay: float) -> None:
        """Update every matrix by its gradient."""
        gradients = [gradient for stack in self._stacks for gradient in stack.gradients()]
        # Only the last products know the learning rate, which differs from step to step.
        for update in self._graph(gradients) if self._graph else self._updates():
            update.add(learning_rate, weight_decay)

    def _updates(self) -> list[_Update]:
        return [update for stack in self._stacks for update in stack.updates()]

    def tensors(self) -> dict[str, Tensor]:
        """What it remembers as ``<parameter>/momentum``, float32: tensors shared with the optimiser."""
        return {f"{name}/momentum": tensor for stack in self._stacks for name, tensor in stack.momenta().items()}


class _Stack:
    """Matrices of one shape and role."""

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        decayed: bool,
        parts: Sequence[int],
        momentum: float,
        nesterov: bool,
        dtype: torch.dtype,
    ) -> None:
        self._names, self._parameters = list(parameters), list(parameters.values())
        self._decayed, self._momentum, self._nesterov, self._dtype = decayed, momentum, nesterov, dtype
        self._weights, self._momenta = (_empty_stack(self._parameters[0], len(parameters)) for _ in range(2))
        self._momenta.zero_()
        for parameter, place in zip(self._parameters, self._weights, strict=True):
            parameter.data = place.copy_(parameter.data)
        self._parts = parts or (self._weights.shape[1],)

    def momenta(self) -> dict[str, Tensor]:
        return dict(zip(self._names, self._momenta, strict=True))

    def gradients(self) -> list[Tensor]:
        return [_gradient(parameter) for parameter in self._parameters]

    def updates(self) -> list[_Update]:
        """Takes the gradients into the momenta."""
        gradients = _stacked(self.gradients())
        momenta = torch.add(gradients, self._momenta, alpha=self._momentum, out=self._momenta)
        direction = torch.empty(gradients.shape, dtype=self._dtype, device=gradients.device)
        if self._nesterov:
            torch.add(gradients, momenta, alpha=self._momentum, out=direction)
        else:
            direction.copy_(momenta)
        parts = zip(self._weights.split(self._parts, dim=1), direction.split(self._parts, dim=1), strict=True)
        return [_Update(weights, *orthogonal_factors(part), self._decayed) for weights, part in parts]


@dataclass(frozen=True)
class _Update:
    """Of some matrices, before the learning rate."""

    weights: Tensor
    """float32 [number, rows, columns]."""
    left: Tensor
    right: Tensor
    """Whose product is orthogonal."""
    decayed: bool

    def add(self, learning_rate: float, weight_decay: float) -> None:
        kept = 1 - learning_rate * weight_decay if self.decayed else 1.0
        factor = learning_rate * UPDATE_RMS * math.sqrt(max(self.weights.shape[1:]))
        add_batched_product(self.weights, self.left, self.right, kept=kept, factor=-factor)


def orthogonal_factors(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Whose product are the nearest matrices with singular values of about 1.

    matrices: [number, rows, columns] in the type of the products; they are overwritten.
    """
    x = matrices.div_(torch.linalg.vector_norm(matrices, dim=(1, 2), keepdim=True).clamp_min_(_SMALLEST_NORM))
    shorter, longer = sorted(x.shape[1:])
    *groups, last = _GROUPS if longer >= _GROUPED_FROM * shorter else (1,) * ROUNDS
    for rounds in groups:
        x = torch.bmm(*_factors(x, rounds))
    return _factors(x, last)


def _factors(x: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
    """Whose product is ``x`` after so many rounds.

    A round is p(y) x with y = x x^T and p(y) = a + b y + c y^2, or its mirror image. The next round's y is p(y) y p(y),
    since they commute, so its polynomial is found without x.
    """
    wide = x.shape[1] <= x.shape[2]
    y = x @ x.mT if wide else x.mT @ x
    total = polynomial = _polynomial(y)
    for _ in range(rounds - 1):
        y = polynomial @ y @ polynomial
        polynomial = _polynomial(y)
        total = polynomial @ total
    return (total, x) if wide else (x, total)


def _polynomial(y: Tensor) -> Tensor:
    a, b, c = NEWTON_SCHULZ
    polynomial = torch.baddbmm(y, y, y, beta=b, alpha=c)
    polynomial.diagonal(dim1=1, dim2=2).add_(a)
    return polynomial


def _empty_stack(like: Tensor, count: int) -> Tensor:
    """[count, *like.shape], each of which begins at an address as round as memory of its own has."""
    step = -(-like.numel() // _ALIGNED) * _ALIGNED
    return like.new_empty(count * step).as_strided((count, *like.shape), (step, like.shape[1], 1))


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None, "every trained parameter has a gradient, zeros where nothing used it"
    return parameter.grad


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Contiguous tensors of one shape as one: where they lie evenly in common memory as a view of it, else a copy."""
    first = tensors[0]
    offsets = [tensor.storage_offset() for tensor in tensors]
    step = offsets[1] - offsets[0] if len(tensors) > 1 else first.numel()
    common = all(tensor.untyped_storage().data_ptr() == first.untyped_storage().data_ptr() for tensor in tensors)
    if common and step > 0 and offsets == [offsets[0] + step * number for number in range(len(tensors))]:
        return first.as_strided((len(tensors), *first.shape), (step, *first.stride()))
    return torch.stack(list(tensors))
