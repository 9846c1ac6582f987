"""The CUDA scan beside the float64 reference, on a GPU or in the emulator."""

from __future__ import annotations

import torch

from mamba_narrative.model.scan.verify import ScanCase, largest_relative_difference, outputs_and_gradients

TOLERANCE = {torch.float32: 3e-5, torch.bfloat16: 2e-2}
"""Largest relative difference of any output or gradient."""


def compared(case: ScanCase, dtype: torch.dtype, device: torch.device | str = "cpu") -> tuple[float, str]:
    """The largest relative difference to the reference on the same rounded inputs, and of which output or gradient."""
    inputs = {
        name: tensor.to(dtype if name in ("u", "delta", "B", "C", "z") else torch.float32).double()
        for name, tensor in case.inputs.items()
    }
    rounded = ScanCase(inputs, case.resets)
    found = outputs_and_gradients(rounded, "cuda", dtype, device)
    expected = outputs_and_gradients(rounded, "reference", torch.float64, device)
    return largest_relative_difference(found, expected)
