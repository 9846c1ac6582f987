"""CUDA C++ compiled when it is first needed, with the runtime compiler (NVRTC) that PyTorch's own wheels bring.

No compiler, header or toolkit has to be installed: this talks to ``libnvrtc`` and to the driver through ctypes.
Compiled kernels are kept for the life of the process, and on disk under ``$XDG_CACHE_HOME/mamba_narrative/kernels`` (a
cache that cannot be written is no error). Launches go to PyTorch's current stream and never wait.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mamba_narrative.errors import UserError
from mamba_narrative.io import write_bytes

_SUCCESS = 0
_DYNAMIC_SHARED_BYTES = 8
"""``CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`` of cuda.h."""


class Struct:
    """The one parameter of a kernel: a structure of pointers, then strides of rows, then whole numbers, then others.

    Pointers and strides are those of tensors by name; a tensor that is missing or None is a null pointer.
    """

    def __init__(
        self,
        pointers: tuple[str, ...],
        rows: tuple[str, ...],
        sizes: tuple[str, ...],
        factors: tuple[str, ...] = (),
    ) -> None:
        self._pointers, self._rows, self._sizes, self._factors = pointers, rows, sizes, factors
        self._packed = struct.Struct("P" * len(pointers) + "qi4x" * len(rows) + "i" * len(sizes) + "f" * len(factors))

    def pack(
        self, tensors: Mapping[str, Tensor | None], sizes: Mapping[str, int | float]
    ) -> ctypes.Array[ctypes.c_char]:
        """The structure in memory; rows are those of [batch, position, ...]."""
        values: list[int | float] = []
        for name in self._pointers:
            tensor = tensors.get(name)
            values.append(0 if tensor is None else tensor.data_ptr())
        for name in self._rows:
            tensor = tensors.get(name)
            values += (0, 0) if tensor is None else tensor.stride()[:2]
        values += [sizes[name] for name in (*self._sizes, *self._factors)]
        return ctypes.create_string_buffer(self._packed.pack(*values), self._packed.size)


class Kernel:
    """One compiled function on one device. Its only parameter is a structure passed by value."""

    def __init__(self, function: ctypes.c_void_p, context: ctypes.c_void_p, shared_bytes: int) -> None:
        self._function, self._context, self._shared_bytes = function, context, shared_bytes

    def launch(
        self, grid: tuple[int, int, int], threads: int, parameters: ctypes.Array[ctypes.c_char], stream: int
    ) -> None:
        """Start ``grid`` blocks of ``threads`` threads on ``stream`` (the ``cuda_stream`` of a torch stream)."""
        driver = _driver()
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(parameters))
        # Autograd's threads may not have a context yet.
        _check(driver.cuCtxPushCurrent_v2(self._context), "making the device current")
        try:
            _check(
                driver.cuLaunchKernel(
                    self._function, *grid, threads, 1, 1, self._shared_bytes, ctypes.c_void_p(stream), pointers, None
                ),
                "launching a kernel",
            )
        finally:
            driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))


class Module:
    """Source compiled with some macros for one device."""

    def __init__(self, source: str, macros: tuple[tuple[str, int], ...], device: int) -> None:
        torch.cuda.init()
        driver = _driver()
        handle = ctypes.c_int()
        _check(driver.cuDeviceGet(ctypes.byref(handle), device), "finding the device")
        self._context = ctypes.c_void_p()
        _check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(self._context), handle), "opening the device")
        image = _compile_cached(source, macros, torch.cuda.get_device_capability(device))
        self._module = ctypes.c_void_p()
        _check(driver.cuCtxPushCurrent_v2(self._context), "making the device current")
        try:
            _check(driver.cuModuleLoadData(ctypes.byref(self._module), image), "loading compiled kernels")
        finally:
            driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
        self._kernels: dict[str, Kernel] = {}

    def kernel(self, name: str, shared_bytes: int = 0) -> Kernel:
        """The function ``name``, launched with ``shared_bytes`` of dynamic shared memory."""
        if name not in self._kernels:
            driver = _driver()
            function = ctypes.c_void_p()
            _check(driver.cuModuleGetFunction(ctypes.byref(function), self._module, name.encode()), f"finding {name}")
            if shared_bytes:
                _check(
                    driver.cuFuncSetAttribute(function, _DYNAMIC_SHARED_BYTES, shared_bytes),
                    f"reserving {shared_bytes} bytes of shared memory",
                )
            self._kernels[name] = Kernel(function, self._context, shared_bytes)
        return self._kernels[name]


def problem() -> str | None:
    """Why kernels cannot be compiled here, or None: no driver, or no runtime compiler beside torch."""
    try:
        _driver()
        _compiler()
    except UserError as error:
        return str(error)
    return None


@cache
def _driver() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        raise UserError(f"the NVIDIA driver's library cannot be loaded ({error}); install the driver") from error


@cache
def _compiler() -> ctypes.CDLL:
    """``libnvrtc`` of the CUDA version that torch was built for, from its wheels or from the system."""
    if torch.version.cuda is None:
        raise UserError("this torch is built without CUDA; install one that is")
    major = torch.version.cuda.split(".")[0]
    if sys.platform == "win32":
        names = [f"nvrtc64_{major}0_0.dll"]
    else:
        names = [f"libnvrtc.so.{major}"]
        for pattern in (f"nvidia/cu{major}/lib/libnvrtc.so.{major}", f"nvidia/cuda_nvrtc/lib/libnvrtc.so.{major}"):
            names = [str(path) for folder in sys.path if (path := Path(folder or ".") / pattern).is_file()] + names
        names = [*names, "libnvrtc.so"]
    reasons = []
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError as error:
            reasons.append(str(error))
    raise UserError(
        f"NVRTC, CUDA's runtime compiler, cannot be loaded ({'; '.join(reasons)}); it comes with torch's wheels: "
        f"`pip install nvidia-cuda-nvrtc` in the version that torch asks for"
    )


def _check(code: int, doing: str) -> None:
    if code != _SUCCESS:
        name = ctypes.c_char_p()
        _driver().cuGetErrorName(code, ctypes.byref(name))
        raise RuntimeError(f"CUDA error while {doing}: {(name.value or b'unknown').decode()} ({code})")


def _compile_cached(source: str, macros: tuple[tuple[str, int], ...], capability: tuple[int, int]) -> bytes:
    compiler = _compiler()
    version = (ctypes.c_int(), ctypes.c_int())
    compiler.nvrtcVersion(ctypes.byref(version[0]), ctypes.byref(version[1]))
    options = [f"-D{name}={value}" for name, value in macros] + ["-std=c++17", "-ftz=true", _target(capability)]
    key = "\0".join([source, *options, str(version[0].value), str(version[1].value)])
    cached = _cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()}.bin"
    try:
        image = cached.read_bytes()
        digest, image = image[:32], image[32:]
        if hashlib.sha256(image).digest() == digest:
            return image
    except OSError:
        pass
    image = _compile(source, options)
    try:
        write_bytes(cached, hashlib.sha256(image).digest() + image)
    except OSError:
        pass
    return image


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mamba_narrative" / "kernels"


def _target(capability: tuple[int, int]) -> str:
    """Machine code for the device; for one newer than the compiler, PTX of its newest, which the driver finishes."""
    compiler = _compiler()
    count = ctypes.c_int()
    compiler.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    known = (ctypes.c_int * count.value)()
    compiler.nvrtcGetSupportedArchs(known)
    wanted = 10 * capability[0] + capability[1]
    if wanted in known:
        return f"--gpu-architecture=sm_{wanted}"
    older = [one for one in known if one < wanted]
    if not older:
        raise UserError(
            f"this GPU (compute capability {capability[0]}.{capability[1]}) is older than torch's CUDA compiles for"
        )
    return f"--gpu-architecture=compute_{max(older)}"


def _compile(source: str, options: list[str]) -> bytes:
    compiler = _compiler()

    def check(code: int) -> None:
        if code != _SUCCESS:
            compiler.nvrtcGetErrorString.restype = ctypes.c_char_p
            raise RuntimeError(f"NVRTC: {compiler.nvrtcGetErrorString(code).decode()}\n{_log(program)}")

    program = ctypes.c_void_p()
    check(compiler.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"mamba_narrative.cu", 0, None, None))
    try:
        arguments = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        check(compiler.nvrtcCompileProgram(program, len(options), arguments))
        kind = "CUBIN" if "=sm_" in options[-1] else "PTX"
        size = ctypes.c_size_t()
        check(getattr(compiler, f"nvrtcGet{kind}Size")(program, ctypes.byref(size)))
        image = ctypes.create_string_buffer(size.value)
        check(getattr(compiler, f"nvrtcGet{kind}")(program, image))
        return image.raw
    finally:
        compiler.nvrtcDestroyProgram(ctypes.byref(program))


def _log(program: Any) -> str:
    size = ctypes.c_size_t()
    _compiler().nvrtcGetProgramLogSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(max(1, size.value))
    _compiler().nvrtcGetProgramLog(program, text)
    return text.value.decode(errors="replace")
