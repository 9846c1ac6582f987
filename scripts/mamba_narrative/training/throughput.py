"""How much of a GPU's arithmetic a run uses."""

from __future__ import annotations

import torch

# Dense bfloat16 operations a second by the makers' data sheets (SXM or the fastest variant), by a part of the name.
_PEAK_FLOPS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 5090": 209e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "V100": 125e12,
}


def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """Operations a second that the device could do in bfloat16 matrix products; None where that is not known."""
    if device.type != "cuda" or dtype != torch.bfloat16:
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in _PEAK_FLOPS.items() if part in name), None)


def mfu(parameters: int, tokens_per_second: float, peak: float | None) -> float | None:
    """Model operations done over operations possible, at 6 a parameter and token (Kaplan et al. 2020, table 1).

    The scan and attention are not counted, nor is what is computed twice to save memory.
    """
    return None if peak is None else 6 * parameters * tokens_per_second / peak


def peak_memory_gib(device: torch.device) -> float | None:
    """Most memory of the GPU that tensors took so far."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
