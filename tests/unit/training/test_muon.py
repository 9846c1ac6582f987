"""Muon against its formula in float64, and against torch's own, matrix by matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from mamba_narrative.model.interface import Role
from mamba_narrative.training.muon import Muon, orthogonal_factors

SHAPES = {"a": (5, 7), "b": (9, 4), "c": (5, 7), "d": (6, 6), "e": (5, 7), "f": (1, 8)}
RATE, DECAY = 0.02, 0.3


def matrices() -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in SHAPES.items()}


def gradients(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(10 + step)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def muon_of(parameters: dict[str, nn.Parameter], **options: object) -> Muon:
    roles = {name: Role("matrix", parts=(2, 3) if shape == (5, 7) else ()) for name, shape in SHAPES.items()}
    chosen = {"momentum": 0.95, "nesterov": True, "split": False, "dtype": torch.float32, **options}
    return Muon(parameters, roles, **chosen)  # type: ignore[arg-type]


def orthogonal(matrix: Tensor) -> Tensor:
    """Five rounds of Jordan's polynomial on the singular values, by a singular value decomposition in float64."""
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ torch.diag(values) @ right


def made_orthogonal(matrices: Tensor) -> Tensor:
    """Ours, its last product in float32."""
    left, right = orthogonal_factors(matrices.clone())
    return left.float() @ right.float()


def reference(weights: Tensor, steps: Sequence[Tensor], momentum: float, nesterov: bool, parts: int | Sequence[int]):
    """Liu et al. 2025, equations 1 and 4, with the momentum of Jordan et al. 2024."""
    weights, remembered = weights.double(), torch.zeros_like(weights, dtype=torch.float64)
    for gradient in steps:
        remembered = momentum * remembered + gradient.double()
        direction = gradient.double() + momentum * remembered if nesterov else remembered
        updates = [0.2 * math.sqrt(max(part.shape)) * orthogonal(part) for part in direction.split(parts)]
        weights = weights - RATE * (torch.cat(updates) + DECAY * weights)
    return weights


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.95, True), (0.8, False), (0.0, True)])
def test_updates_are_those_of_the_formula(momentum: float, nesterov: bool, split: bool) -> None:
    parameters = matrices()
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    muon = muon_of(parameters, momentum=momentum, nesterov=nesterov, split=split)
    for step in range(3):
        for name, gradient in gradients(step).items():
            parameters[name].grad = gradient
        muon.step(RATE, DECAY)
    for name, parameter in parameters.items():
        steps = [gradients(step)[name] for step in range(3)]
        parts = (2, 3) if split and parameter.shape == (5, 7) else len(parameter)
        expected = reference(before[name], steps, momentum, nesterov, parts)
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-4, atol=1e-5, msg=name)


def test_updates_are_torchs_up_to_its_rounding() -> None:
    ours, theirs = matrices(), matrices()
    muon = muon_of(ours)
    torch_muon = torch.optim.Muon(theirs.values(), lr=RATE, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        for name, gradient in gradients(step).items():
            ours[name].grad, theirs[name].grad = gradient.clone(), gradient.clone()
        muon.step(RATE, DECAY)
        torch_muon.step()
    for name, parameter in ours.items():
        # Of an update, 0.2 sqrt(max(shape)) times a learning rate, bfloat16 keeps two digits.
        torch.testing.assert_close(parameter, theirs[name], rtol=0, atol=RATE * 0.1, msg=name)


@pytest.mark.parametrize("shape", [(48, 192), (192, 48), (64, 64)])
def test_an_update_has_the_size_of_adamws(shape: tuple[int, int]) -> None:
    direction = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    update = 0.2 * math.sqrt(max(shape)) * made_orthogonal(direction)
    assert float(update.square().mean().sqrt()) == pytest.approx(0.2, rel=0.2)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e10])
def test_no_size_of_a_gradient_makes_an_update_that_is_not_finite(size: float) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        direction = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
        update = made_orthogonal((direction * size).to(dtype))
        assert update.isfinite().all()
        if size <= 1e-30:
            torch.testing.assert_close(update, torch.zeros(2, 3, 4))


def one_round_at_a_time(matrices: Tensor) -> Tensor:
    """As in Jordan et al. 2024."""
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        y = x @ x.mT
        x = 3.4445 * x + (-4.7750 * y + 2.0315 * (y @ y)) @ x
    return x


@pytest.mark.parametrize("fall", [0.0, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("shape", [(48, 192), (40, 60), (16, 320), (8, 64), (64, 64)])
def test_rounds_taken_together_are_as_exact_in_bfloat16_as_one_at_a_time(shape: tuple[int, int], fall: float) -> None:
    """Whatever the singular values: a thin matrix of falling ones once grew without bounds."""
    left, values, right = torch.linalg.svd(
        torch.randn(20, *shape, generator=torch.Generator().manual_seed(3)), full_matrices=False
    )
    matrices = (left * (1.0 + torch.arange(values.shape[1])) ** -fall) @ right
    expected = torch.stack([orthogonal(matrix) for matrix in matrices])
    together = made_orthogonal(matrices.bfloat16())
    alone = one_round_at_a_time(matrices.bfloat16()).float()
    assert (together - expected).norm() <= (alone - expected).norm() + 0.04 * expected.norm()
    assert torch.linalg.matrix_norm(together, 2).max() <= torch.linalg.matrix_norm(alone, 2).max() + 0.05


def test_products_in_bfloat16_change_an_update_by_its_rounding_alone() -> None:
    direction = torch.randn(3, 24, 40, generator=torch.Generator().manual_seed(1))
    found = {dtype: made_orthogonal(direction.to(dtype)) for dtype in (torch.float32, torch.bfloat16)}
    difference = (found[torch.float32] - found[torch.bfloat16]).norm() / found[torch.float32].norm()
    assert 0 < float(difference) < 0.05


@pytest.mark.parametrize("gap", [0, 3])
def test_gradients_that_lie_in_common_memory_are_not_copied(gap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`flat_gradients` lays them out last parameter first, others between them."""
    apart, together = matrices(), matrices()
    flat = torch.zeros(sum(math.prod(shape) + gap for shape in SHAPES.values()) * 2)
    offset, places = 0, {}
    for name in ("e", "c", "a", "f", "b", "d"):
        shape = SHAPES[name]
        places[name] = flat[offset : offset + math.prod(shape)].view(shape)
        offset += math.prod(shape) + gap
    for name, gradient in gradients(0).items():
        apart[name].grad, together[name].grad = gradient, places[name].copy_(gradient)
    optimizers = muon_of(apart), muon_of(together)
    optimizers[0].step(RATE, DECAY)
    monkeypatch.delattr(torch, "stack")
    optimizers[1].step(RATE, DECAY)
    for name, parameter in apart.items():
        torch.testing.assert_close(together[name], parameter)


def test_parameters_keep_their_values_and_stay_contiguous() -> None:
    parameters, expected = matrices(), matrices()
    muon_of(parameters)
    for name, parameter in parameters.items():
        assert torch.equal(parameter, expected[name])
        assert parameter.is_contiguous()
        assert parameter.data_ptr() % 64 == 0
