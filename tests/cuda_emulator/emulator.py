"""CUDA kernels on the CPU: their sources compiled by g++ against ``emulator.h`` (see there)."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import torch

COMPILER = shutil.which("g++")
WHY_NOT = None if COMPILER else "g++ is not installed"
_HEADER = Path(__file__).with_name("emulator.h")
_ENTRY = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(')
_REPLACED = {
    'asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));': "r = emulated_exp2(x);",
    'asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));': "r = 1.0f / x;",
    "(__CUDA_ARCH__ >= 800)": "1",
    'asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"((u32)__cvta_generic_to_shared(to)), '
    '"l"(from), "n"(bytes), "r"(copied));': "emulator::copy_later(to, from, bytes, copied);",
    'asm volatile("cp.async.commit_group;");': "emulator::end_copies();",
    'asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");': "emulator::wait_for_copies(pending);",
    "extern __shared__ __align__(16) float shared[];": "float *shared = emulator::shared_memory();",
    "extern __shared__ __align__(16) float x[];": "float *x = emulator::shared_memory();",
}
_compiled: dict[tuple, ctypes.CDLL] = {}


class EmulatedModule:
    """Takes the place of ``cuda.runtime.Module``; ``folder`` is for compiled sources."""

    folder: Path

    def __init__(self, source: str, macros: tuple[tuple[str, int], ...], device: int | None) -> None:
        key = (source, macros)
        if key not in _compiled:
            _compiled[key] = self._compile(source, macros)
        self._library = _compiled[key]

    def _compile(self, source: str, macros: tuple[tuple[str, int], ...]) -> ctypes.CDLL:
        names = _ENTRY.findall(source)
        for cuda, plain in _REPLACED.items():
            source = source.replace(cuda, plain)
        entries = "".join(
            f'extern "C" void emulate_{name}(int x, int y, int z, int threads, int shared, const Params *p) {{'
            f" emulator::launch(x, y, z, threads, shared, [p] {{ {name}(*p); }}); }}\n"
            for name in names
        )
        path = self.folder / f"{len(_compiled)}.cpp"
        path.write_text(f'#include "{_HEADER}"\n{source}\n{entries}', encoding="utf-8")
        options = [
            "-std=c++20",
            "-O1",
            "-fno-gnu-unique",
            "-w",
            "-fPIC",
            "-shared",
            *(f"-D{name}={value}" for name, value in macros),
        ]
        library = path.with_suffix(".so")
        done = subprocess.run([COMPILER, *options, path, "-o", library], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:3000]
        return ctypes.CDLL(str(library))

    def kernel(self, name: str, shared_bytes: int = 0) -> SimpleNamespace:
        entry = getattr(self._library, f"emulate_{name}")

        def launch(grid, threads, parameters, stream):
            entry(*grid, threads, shared_bytes, parameters)

        return SimpleNamespace(launch=launch)


def emulate(monkeypatch, folder: Path, *operators) -> None:
    """Let GPU code run on CPU tensors; ``operators`` also get an implementation for the CPU."""
    from mamba_narrative.cuda import cross_entropy, dropout, runtime
    from mamba_narrative.model.scan import (
        cuda_convolution,
        cuda_norm,
        cuda_passes,
        cuda_step,
    )

    EmulatedModule.folder = folder
    monkeypatch.setattr(runtime, "Module", EmulatedModule)
    for module in (cuda_passes, cuda_convolution, cuda_norm, cuda_step, cross_entropy, dropout):
        module._module.cache_clear()
    cuda_passes.plan.cache_clear()
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: SimpleNamespace(cuda_stream=0))
    properties = SimpleNamespace(
        multi_processor_count=1, shared_memory_per_block_optin=232_448, shared_memory_per_multiprocessor=233_472
    )
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device=None: properties)
    for operator in operators:
        operator.register_kernel("cpu")(operator._init_fn)
