"""What ``run.json`` says of a finished run: code, versions, hardware."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from mamba_narrative import __version__
from mamba_narrative.code_inputs import Code
from mamba_narrative.config.architectures import modules_of
from mamba_narrative.io import sha256_text
from mamba_narrative.training.compute import Compute

_PACKAGES = ("torch", "numpy", "safetensors", "tiktoken", "transformers", "triton", "mamba-ssm")


def describe_versions() -> dict[str, str]:
    """Versions of Python, this project and the installed packages that a run depends on."""
    versions = {"python": platform.python_version(), "mamba_narrative": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    versions["torch"] = torch.__version__  # with the build, which the metadata of some wheels leave out
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
    return versions


def describe_code(architecture: str) -> dict[str, str]:
    """SHA-256 over what the sources mean that training of this ``architecture`` runs, and of all installed packages.

    Two runs with equal values ran the same code; the second value names the environment.
    """
    sources = Code(Path(__file__).parents[2]).digest("train_run", modules_of(architecture))
    installed = sorted(f"{found.name}=={found.version}" for found in metadata.distributions())
    return {"sources_sha256": sources, "environment_sha256": sha256_text("\n".join(installed))}


def describe_hardware(compute: Compute) -> dict[str, Any]:
    """The device that computed, and how."""
    hardware: dict[str, Any] = {
        "device": compute.device.type,
        "precision": str(compute.dtype).removeprefix("torch."),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cpu_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
    }
    if compute.device.type == "cuda":
        properties = torch.cuda.get_device_properties(compute.device)
        hardware |= {
            "gpu": properties.name,
            "gpu_memory_bytes": properties.total_memory,
            "gpu_peak_memory_bytes": torch.cuda.max_memory_allocated(compute.device),
        }
    return hardware


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
