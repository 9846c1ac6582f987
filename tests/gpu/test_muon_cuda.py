"""Muon on a GPU: its products in bfloat16, and the update beside that of a processor."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mamba_narrative.cuda.products import add_batched_product
from mamba_narrative.model.interface import Role
from mamba_narrative.training.muon import Muon, orthogonal_factors

CUDA = torch.device("cuda")
SHAPES = [(3072, 768), (768, 1536), (80, 1536), (1536, 48), (5, 7)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("gap", [0, 64])
def test_batched_products_are_added_in_float32_where_matrices_lie_apart(dtype: torch.dtype, gap: int) -> None:
    generator = torch.Generator(CUDA).manual_seed(1)
    a = torch.randn(3, 48, 96, generator=generator, device=CUDA).to(dtype)
    b = torch.randn(3, 96, 40, generator=generator, device=CUDA).to(dtype)
    memory = torch.randn(3 * (48 * 40 + gap), generator=generator, device=CUDA)
    before = memory.clone()
    total = memory.as_strided((3, 48, 40), (48 * 40 + gap, 40, 1))
    expected = 0.9 * total.double() - 0.01 * a.double() @ b.double()
    add_batched_product(total, a, b, kept=0.9, factor=-0.01)
    torch.testing.assert_close(total.double(), expected, rtol=1e-5, atol=1e-5)
    between = torch.ones_like(memory, dtype=torch.bool)
    between.as_strided(total.shape, total.stride()).fill_(False)
    assert torch.equal(memory[between], before[between])


@pytest.mark.parametrize("shape", SHAPES)
def test_an_update_is_that_of_a_processor_up_to_the_rounding_of_its_products(shape: tuple[int, int]) -> None:
    direction = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    reference = torch.bmm(*orthogonal_factors(direction.clone()))
    for dtype, tolerance in ((torch.float32, 1e-3), (torch.bfloat16, 0.1)):
        left, right = orthogonal_factors(direction.to(CUDA, dtype))
        found = (left.float() @ right.float()).cpu()
        assert float((found - reference).norm() / reference.norm()) < tolerance


@pytest.mark.parametrize("split", [False, True])
def test_updates_of_a_gpu_repeat_to_the_bit_recorded_or_not(split: bool) -> None:
    ends = []
    for record in (False, False, True):
        generator = torch.Generator(CUDA).manual_seed(2)
        parameters = {
            f"{shape}/{layer}": nn.Parameter(torch.randn(shape, generator=generator, device=CUDA))
            for layer in range(3)
            for shape in SHAPES
        }
        roles = {name: Role("matrix", parts=(1, len(parameter) - 1)) for name, parameter in parameters.items()}
        muon = Muon(parameters, roles, 0.95, True, split, torch.bfloat16, record)
        gradients = {name: torch.empty_like(parameter) for name, parameter in parameters.items()}
        for step in range(6):
            for name, parameter in parameters.items():
                # A while at one place, then at another.
                parameter.grad = gradients[name] if step != 3 else torch.empty_like(parameter)
                parameter.grad.normal_(generator=generator)
            muon.step(0.02 / (step + 1), 0.1)
        assert not muon._graph or muon._graph._recorded, "nothing was recorded"
        ends.append(parameters)
    for name, parameter in ends[0].items():
        assert parameter.isfinite().all()
        for other in ends[1:]:
            assert torch.equal(parameter, other[name]), name
