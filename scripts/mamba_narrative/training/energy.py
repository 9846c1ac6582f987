"""How much energy a GPU has used, by its own counter."""

from __future__ import annotations

import ctypes

import torch


class EnergyMeter:
    """Joules of the whole card since the last look, whoever used it; None where it has no counter.

    NVML's ``nvmlDeviceGetTotalEnergyConsumption``: millijoules since the driver was loaded, Volta and newer.
    """

    def __init__(self, device: torch.device) -> None:
        self._read = _counter(device) if device.type == "cuda" else None
        self._last = self._millijoules()

    def since_last(self) -> float | None:
        """Joules since the last call, or since the meter was made."""
        before, self._last = self._last, self._millijoules()
        return None if before is None or self._last is None else (self._last - before) / 1000

    def _millijoules(self) -> int | None:
        if self._read is None:
            return None
        library, handle = self._read
        found = ctypes.c_ulonglong()
        failed = library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(found))
        return None if failed else found.value


def _counter(device: torch.device) -> tuple[ctypes.CDLL, ctypes.c_void_p] | None:
    """NVML and its handle of the device."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    handle = ctypes.c_void_p()
    # By its own name: CUDA_VISIBLE_DEVICES renumbers devices for CUDA alone.
    name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)):
        return None
    return library, handle
