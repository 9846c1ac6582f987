"""Dropout on a GPU drops, bit by bit, what it drops on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mamba_narrative.cuda.dropout import takes
from mamba_narrative.model.dropout import Site, dropout
from mamba_narrative.model.scan.cuda_norm import EPSILON, add_norm

DTYPES = [torch.bfloat16, torch.float32]
KEYS = [(1, 0), (-6_543_210_987_654_321, 31), (2**62 + 12_345, 1_000_000)]


def site(rate: float, number: int, draw: tuple[int, int], device: str = "cuda") -> Site:
    return Site(rate, number, torch.tensor(draw, device=device))


@pytest.mark.parametrize("draw", KEYS)
@pytest.mark.parametrize("shape", [(1, 1, 4), (3, 70, 132), (2, 300, 768), (5, 33, 2048)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_masks_are_those_of_the_cpu(dtype: torch.dtype, shape: tuple[int, int, int], draw: tuple[int, int]) -> None:
    kept = site(0.1, 65_540, draw, "cpu").kept(*shape)
    place = site(0.1, 65_540, draw)
    assert torch.equal(place.kept(*shape).cpu(), kept)
    x = torch.ones(shape, dtype=dtype, device="cuda", requires_grad=True)
    assert takes(x)
    found = dropout(x, place)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    expected = kept * torch.tensor(place.scale).to(dtype)
    assert torch.equal(found.cpu(), expected)
    assert torch.equal(gradient.cpu(), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_what_the_kernel_does_not_take_is_dropped_alike(dtype: torch.dtype) -> None:
    x = torch.ones(2, 9, 31, dtype=dtype, device="cuda")
    assert not takes(x)
    place = site(0.3, 5, KEYS[1])
    assert torch.equal(dropout(x, place).cpu() == 0, ~site(0.3, 5, KEYS[1], "cpu").kept(2, 9, 31))


@pytest.mark.parametrize("width", [128, 768, 1024])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_residual_sum_drops_what_the_cpu_drops(dtype: torch.dtype, width: int) -> None:
    shape = (3, 170, width)
    generator = torch.Generator("cuda").manual_seed(width)
    x, update, weight, *factors = (
        torch.randn(size, generator=generator, device="cuda") for size in (shape, shape, (width,), shape, shape)
    )
    place = site(0.2, 65_545, KEYS[2])
    kept = site(0.2, 65_545, KEYS[2], "cpu").kept(*shape).cuda()

    def results(normed: torch.Tensor, total: torch.Tensor, leaves: list[torch.Tensor]) -> list[torch.Tensor]:
        loss = (normed.double() * factors[0]).sum() + (total.double() * factors[1]).sum()
        return [normed, total, *torch.autograd.grad(loss, leaves)]

    leaves = [tensor.clone().requires_grad_() for tensor in (x, update.to(dtype), weight)]
    fused = add_norm(*leaves, dtype, "cuda", place)
    assert fused is not None
    found = results(*fused, leaves)
    assert torch.equal(found[3] == 0, ~kept)
    leaves = [tensor.detach().double().requires_grad_() for tensor in leaves]
    total = leaves[0] + torch.where(kept, leaves[1] * place.scale, 0.0)
    expected = results(F.rms_norm(total, (width,), leaves[2], EPSILON), total, leaves)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    for one, right in zip(found, expected, strict=True):
        assert (one.double() - right).abs().max() <= tolerance * right.abs().max()
