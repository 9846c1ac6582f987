"""Is a backend right? Its outputs and gradients beside those of the reference in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mamba_narrative.model.scan.dispatch import selective_scan

_TIMED = ("u", "delta", "B", "C", "z")
"""Inputs that may be bfloat16."""


@dataclass(frozen=True)
class ScanCase:
    """Float64 inputs of ``selective_scan`` by name, and where books start."""

    inputs: dict[str, Tensor]
    resets: Tensor | None


def scan_case(
    length: int,
    with_state: bool = True,
    with_resets: bool = True,
    delta_scale: float = 1.0,
    batch: int = 3,
    channels: int = 5,
    d_state: int = 4,
) -> ScanCase:
    """Random inputs on the CPU, the same for the same arguments; ``delta_scale`` stretches the step sizes."""
    generator = torch.Generator().manual_seed(length)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs = {
        "u": normal(batch, length, channels),
        "delta": normal(batch, length, channels) * delta_scale,
        "A": -torch.exp(normal(channels, d_state)),
        "B": normal(batch, length, d_state),
        "C": normal(batch, length, d_state),
        "D": normal(channels),
        "z": normal(batch, length, channels),
        "delta_bias": normal(channels),
    }
    if with_state:
        inputs["initial_state"] = normal(batch, channels, d_state)
    resets = torch.rand(batch, length, generator=generator) < 0.1 if with_resets else None
    return ScanCase(inputs, resets)


def outputs_and_gradients(
    case: ScanCase,
    backend: str,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    through_state: bool = True,
) -> dict[str, Tensor]:
    """``y``, ``final_state``, and by input name the gradient of a fixed function of both; float64, on the CPU.

    Without ``through_state`` the function is one of ``y`` alone. A, D, the bias and states stay at least float32.
    """
    at_least_float32 = torch.promote_types(dtype, torch.float32)
    inputs = {
        name: tensor.to(device, dtype if name in _TIMED else at_least_float32).requires_grad_()
        for name, tensor in case.inputs.items()
    }
    resets = None if case.resets is None else case.resets.to(device)
    y, state = selective_scan(**inputs, softplus=True, resets=resets, backend=backend)
    generator = torch.Generator().manual_seed(7)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for part in (y, state) if through_state else (y,):
        # Rounded like the outputs, so that the function is the same in every precision.
        weight = torch.randn(part.shape, generator=generator, dtype=torch.float64).bfloat16()
        loss = loss + (part * weight.to(device, part.dtype)).sum().double()
    gradients = torch.autograd.grad(loss, list(inputs.values()))
    results = {"y": y, "final_state": state, **dict(zip(inputs, gradients, strict=True))}
    return {name: tensor.detach().to("cpu", torch.float64) for name, tensor in results.items()}


def largest_relative_difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> tuple[float, str]:
    """Of each tensor the largest absolute difference over the largest expected magnitude: the worst, and its name.

    Infinite where a value is not finite.
    """

    def difference(name: str) -> float:
        if not found[name].isfinite().all():
            return float("inf")
        scale = expected[name].abs().max().clamp(min=1e-30)
        return float((found[name] - expected[name]).abs().max() / scale)

    return max((difference(name), name) for name in expected)
