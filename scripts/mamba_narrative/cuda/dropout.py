"""Dropout on NVIDIA GPUs: the masks of ``model.dropout``, drawn where they are used and never kept.

``SOURCE`` is for kernels that drop values on their way; ``drop`` is a kernel that does nothing else. Its gradient is
itself.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mamba_narrative.cuda import elements, runtime

LEVELS = 1 << 16
"""Values of one random number."""
_THREADS = 256
_PARAMETERS = runtime.Struct(
    pointers=("x", "draw", "out"),
    rows=(),
    sizes=("rows", "length", "width", "site", "dropped"),
    factors=("scale",),
)
"""The structure ``Params`` of the kernel."""

SOURCE = r"""
typedef unsigned long long u64;

// Which of 2 times 4 neighbouring values of a row, 128 apart, are kept: bit i for value i. A call c is for the channels
// from 256 (c / 32) + 4 (c % 32). It is Philox4x32-10 (Salmon et al. 2011), each word two random numbers of 16 bits.
// draw: the step's key, and the number of the first row; a value is dropped where its number is below `dropped`.
__device__ __forceinline__ u32 kept_bits(const i64 *draw, u32 call, u32 position, u32 row, u32 site, u32 dropped) {
  u32 k0 = (u32)draw[0], k1 = (u32)(draw[0] >> 32), a = call, b = position, c = row + (u32)draw[1], d = site;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const u64 p = (u64)a * 0xD2511F53u, q = (u64)c * 0xCD9E8D57u;
    a = (u32)(q >> 32) ^ b ^ k0; b = (u32)q;
    c = (u32)(p >> 32) ^ d ^ k1; d = (u32)p;
    k0 += 0x9E3779B9u; k1 += 0xBB67AE85u;
  }
  const u32 words[4] = {a, b, c, d};
  u32 bits = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) bits |= (u32)((words[i / 2] >> i % 2 * 16 & 0xffffu) >= dropped) << i;
  return bits;
}
"""

_KERNEL = r"""
struct Params {
  const element *x;                        // [rows, width], width a multiple of 4
  const i64 *draw;
  element *out;
  int rows, length, width, site, dropped;  // length: rows of a sequence
  float scale;                             // of what is kept
};

extern "C" __global__ void __launch_bounds__(THREADS) drop(const __grid_constant__ Params p) {
  const u32 calls = 32 * ((p.width + 255) / 256);
  const i64 thread = (i64)blockIdx.x * THREADS + threadIdx.x;
  const i64 row = thread / calls;
  const u32 call = (u32)(thread % calls), channel = 256 * (call / 32) + 4 * (call % 32);
  if (row >= p.rows || channel >= p.width) return;
  const i64 at = row * p.width + channel;
  const bool both = channel + 128 < p.width;
  Raw<4> x[2];
  x[0].load(p.x + at);
  if (both) x[1].load(p.x + at + 128);
  const u32 kept = kept_bits(p.draw, call, (u32)row % p.length, (u32)row / p.length, p.site, p.dropped);
#pragma unroll
  for (int k = 0; k < 2; k++) {
    if (k && !both) return;
    float v[4];
#pragma unroll
    for (int i = 0; i < 4; i++) v[i] = kept >> (4 * k + i) & 1 ? x[k][i] * p.scale : 0.0f;
    store<4>(p.out + at + 128 * k, v);
  }
}
"""


def takes(x: Tensor) -> bool:
    """Whether values of this tensor can be dropped by the kernel."""
    return (
        x.is_cuda
        and torch.version.hip is None
        and x.dtype in (torch.bfloat16, torch.float32)
        and x.shape[-1] % 4 == 0
        and runtime.problem() is None
    )


def scale(dropped: int) -> float:
    """The factor of what is kept where random numbers below ``dropped`` drop."""
    return LEVELS / (LEVELS - dropped)


def factors(site: int, dropped: int) -> dict[str, int | float]:
    """Parameters of a kernel that drops."""
    return {"site": site, "dropped": dropped, "scale": scale(dropped)}


def drop(x: Tensor, draw: Tensor, site: int, dropped: int) -> Tensor:
    """``x`` [batch, length, width] without what is dropped, the rest scaled up.

    draw, site: see ``model.dropout.Site``; dropped: of 65,536 random numbers so many drop a value.
    """
    out: Any = torch.ops.mamba_narrative.dropout(x.contiguous(), draw, site, dropped)
    return out


@cache
def _module(bfloat16: bool, device: int) -> runtime.Module:
    macros = (("BF16", int(bfloat16)), ("THREADS", _THREADS))
    return runtime.Module(elements.SOURCE + SOURCE + _KERNEL, macros, device)


@torch.library.custom_op(
    "mamba_narrative::dropout",
    mutates_args=(),
    device_types="cuda",
    schema="(Tensor x, Tensor draw, int site, int dropped) -> Tensor",
)
def _drop_op(x: Tensor, draw: Tensor, site: int, dropped: int) -> Tensor:
    out = torch.empty_like(x)
    length, width = x.shape[-2:]
    if x.numel():
        rows = x.numel() // width
        sizes = {"rows": rows, "length": length, "width": width, **factors(site, dropped)}
        parameters = _PARAMETERS.pack({"x": x, "draw": draw, "out": out}, sizes)
        kernel = _module(x.dtype == torch.bfloat16, x.device.index).kernel("drop")
        blocks = -(-rows * 32 * -(-width // 256) // _THREADS)
        kernel.launch((blocks, 1, 1), _THREADS, parameters, torch.cuda.current_stream(x.device).cuda_stream)
    return out


@_drop_op.register_fake
def _(x: Tensor, draw: Tensor, site: int, dropped: int) -> Tensor:
    return torch.empty_like(x)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, draw, ctx.site, ctx.dropped = inputs
    ctx.save_for_backward(draw)


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    (draw,) = ctx.saved_tensors
    return drop(gradient, draw, ctx.site, ctx.dropped), None, None, None


_drop_op.register_autograd(_differentiate, setup_context=_save_for_backward)
