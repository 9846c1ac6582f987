"""The CUDA convolution computes what plain PyTorch does in float64."""

from __future__ import annotations

import pytest
import torch

from mamba_narrative.model.scan.convolution import causal_conv

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


def case(batch, length, channels, width, with_window, with_resets):
    generator = torch.Generator().manual_seed(length * 100 + channels)

    def normal(*shape):
        return torch.randn(*shape, generator=generator).bfloat16().double().cuda()

    inputs = {"x": normal(batch, length, channels), "weight": normal(channels, width), "bias": normal(channels)}
    if with_window:
        inputs["initial_window"] = normal(batch, width - 1, channels)
    resets = torch.rand(batch, length, generator=generator) < 0.2 if with_resets else None
    weights = normal(batch, length, channels), normal(batch, width - 1, channels)
    return inputs, None if resets is None else resets.cuda(), weights


def outputs_and_gradients(inputs, resets, weights, dtype, backend, silu):
    inputs = {
        name: tensor.to(torch.promote_types(dtype, torch.float32) if name in ("weight", "bias") else dtype)
        for name, tensor in inputs.items()
    }
    inputs = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    y, window = causal_conv(**inputs, resets=resets, silu=silu, backend=backend)
    loss = (y * weights[0].to(y.dtype)).sum().double() + (window * weights[1].to(window.dtype)).sum().double()
    return [y, window, *torch.autograd.grad(loss, list(inputs.values()))]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize(("batch", "length", "channels", "width", "window", "resets"), [
    (2, 1, 8, 4, True, True), (2, 2, 8, 4, True, True), (1, 3, 5, 4, True, False), (3, 63, 20, 4, False, True),
    (2, 64, 512, 4, True, True), (2, 65, 516, 4, True, True), (2, 300, 64, 3, True, True), (2, 130, 64, 2, True, True),
    (1, 129, 64, 4, False, False), (1, 131, 64, 4, True, True),
])  # fmt: skip
def test_outputs_and_gradients_are_those_of_plain_torch(batch, length, channels, width, window, resets, silu, dtype):
    inputs, resets, weights = case(batch, length, channels, width, window, resets)
    found = outputs_and_gradients(inputs, resets, weights, dtype, "cuda", silu)
    again = outputs_and_gradients(inputs, resets, weights, dtype, "cuda", silu)
    expected = outputs_and_gradients(inputs, resets, weights, torch.float64, "reference", silu)
    for one, same, right in zip(found, again, expected, strict=True):
        assert torch.equal(one, same)
        assert (one.double() - right).abs().max() <= TOLERANCE[dtype] * right.abs().max().clamp(min=1e-6)
