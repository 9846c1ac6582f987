"""Can mamba-ssm and causal-conv1d be compiled here? What ``make cuda`` looks at before it spends many minutes."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

from mamba_narrative.errors import UserError

BLACKWELL, FIRST_NVCC_FOR_BLACKWELL = 10, (12, 8)
"""Major compute capability, and the CUDA toolkit from which on it can be compiled for."""


@dataclass(frozen=True)
class Toolchain:
    """What a build needs; None where it is missing."""

    system: str
    """As ``platform.system`` says."""
    torch_cuda: str | None
    """Version of CUDA that torch was compiled with; None for a build without."""
    nvcc: str | None
    """Version of the CUDA compiler that torch would call, such as 12.8."""
    host_compiler: str | None
    capability: tuple[int, int] | None
    """Compute capability of the first GPU; None where none is visible."""


def find_toolchain() -> Toolchain:
    """Of this machine."""
    return Toolchain(
        system=platform.system(),
        torch_cuda=torch.version.cuda,
        nvcc=_nvcc_version(),
        host_compiler=shutil.which("g++") or shutil.which("c++"),
        capability=torch.cuda.get_device_capability() if torch.cuda.is_available() else None,
    )


def _nvcc_version() -> str | None:
    from torch.utils.cpp_extension import CUDA_HOME  # looks at CUDA_HOME, the path and /usr/local/cuda

    nvcc = Path(CUDA_HOME, "bin", "nvcc") if CUDA_HOME else None
    if nvcc is None or not nvcc.is_file():
        return None
    printed = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"release (\d+\.\d+)", printed)
    return match[1] if match else None


def build_problems(toolchain: Toolchain) -> list[str]:
    """What is missing or does not fit, each with what to do about it."""
    problems = []
    if toolchain.system != "Linux":
        problems.append(f"mamba-ssm builds on Linux; this is {toolchain.system}")
    if toolchain.torch_cuda is None:
        problems.append(
            "torch is a build without CUDA: install the one for your driver first (pytorch.org, Get Started)"
        )
    if toolchain.nvcc is None:
        wanted = f" {toolchain.torch_cuda}" if toolchain.torch_cuda else ""
        problems.append(f"nvcc was not found: install the CUDA toolkit{wanted} and set CUDA_HOME to its folder")
    elif toolchain.torch_cuda and _numbers(toolchain.nvcc)[0] != _numbers(toolchain.torch_cuda)[0]:
        problems.append(
            f"nvcc is of CUDA {toolchain.nvcc}, torch of CUDA {toolchain.torch_cuda}: install a toolkit of CUDA "
            f"{_numbers(toolchain.torch_cuda)[0]} and set CUDA_HOME to its folder"
        )
    if toolchain.nvcc and toolchain.capability and toolchain.capability[0] >= BLACKWELL:
        needed = FIRST_NVCC_FOR_BLACKWELL
        if _numbers(toolchain.nvcc) < needed:
            gpu = "sm_{}{}".format(*toolchain.capability)
            problems.append(f"nvcc {toolchain.nvcc} knows no {gpu}: install CUDA {needed[0]}.{needed[1]} or newer")
    if toolchain.host_compiler is None:
        problems.append("no C++ compiler was found: install g++ (Debian, Ubuntu: build-essential)")
    return problems


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2])


def check_build(toolchain: Toolchain) -> None:
    """Raises UserError with all problems where a build cannot work."""
    if problems := build_problems(toolchain):
        raise UserError(
            "mamba-ssm cannot be built here, and nothing needs it: the project's own kernels run without a compiler.\n"
            "  Missing for the build:\n  - " + "\n  - ".join(problems)
        )
