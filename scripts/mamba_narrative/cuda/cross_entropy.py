"""Cross entropy on NVIDIA GPUs: scores are replaced by their gradients in place.

PyTorch's own path makes four more passes over the scores and keeps them in float32; here they stay in the type of the
matrix product, are read twice (the second time from the cache) and written once.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from mamba_narrative.cuda import elements, runtime

_THREADS = 512
_PARAMETERS = runtime.Struct(
    pointers=("scores", "targets", "nats", "z"),
    rows=(),
    sizes=("columns", "vocab_size"),
    factors=("z_loss",),
)
"""The structure ``Params`` of the kernel."""

SOURCE = r"""
constexpr u32 ALL = 0xffffffffu;
constexpr int V = 4;

struct Params {
  element *scores;          // [rows, columns]; becomes the gradient of the loss of each row
  const i64 *targets;       // [rows]; negative ones are ignored: no loss, no gradient
  float *nats, *z;          // [rows]: -log p(target), and log(denominator)^2
  int columns, vocab_size;  // columns: a multiple of 4; those from vocab_size on take no probability
  float z_loss;
};

__device__ __forceinline__ float minus_infinity() { return __uint_as_float(0xff800000u); }

// Of two parts with largest value and sum of powers of two relative to it.
struct Sum {
  float largest, sum;
  __device__ __forceinline__ void add(float other_largest, float other_sum) {
    const float m = fmaxf(largest, other_largest);
    if (m == minus_infinity()) return;
    sum = sum * exp2_fast(largest - m) + other_sum * exp2_fast(other_largest - m);
    largest = m;
  }
};

// A block has a row.
extern "C" __global__ void __launch_bounds__(THREADS) cross_entropy(const __grid_constant__ Params p) {
  __shared__ float shared[THREADS / 32][2];
  element *row = p.scores + (i64)blockIdx.x * p.columns;
  const int target = (int)p.targets[blockIdx.x];
  if (target < 0) {
    if (threadIdx.x == 0) p.nats[blockIdx.x] = p.z[blockIdx.x] = 0.0f;
    const float nothing[V] = {};
    for (int c = threadIdx.x * V; GRADIENT && c < p.columns; c += THREADS * V) store<V>(row + c, nothing);
    return;
  }
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Sum total = {minus_infinity(), 0.0f};
#pragma unroll 4
  for (int c = threadIdx.x * V; c < p.vocab_size; c += THREADS * V) {
    Raw<V> raw;
    raw.load(row + c);
    float largest = minus_infinity(), v[V], sum = 0.0f;
#pragma unroll
    for (int i = 0; i < V; i++) {
      v[i] = c + i < p.vocab_size ? raw[i] * LOG2E : minus_infinity();
      largest = fmaxf(largest, v[i]);
    }
    const float m = fmaxf(total.largest, largest);
#pragma unroll
    for (int i = 0; i < V; i++) sum += exp2_fast(v[i] - m);
    total.sum = total.sum * exp2_fast(total.largest - m) + sum;
    total.largest = m;
  }
#pragma unroll
  for (int mask = 16; mask; mask >>= 1) {
    const float largest = __shfl_xor_sync(ALL, total.largest, mask), sum = __shfl_xor_sync(ALL, total.sum, mask);
    total.add(largest, sum);
  }
  if (lane == 0) { shared[warp][0] = total.largest; shared[warp][1] = total.sum; }
  __syncthreads();
  total = {minus_infinity(), 0.0f};
  for (int i = 0; i < THREADS / 32; i++) total.add(shared[i][0], shared[i][1]);
  const float log2_denominator = total.largest + log2f(total.sum), log_denominator = log2_denominator / LOG2E;
  if (threadIdx.x == 0) {
    Raw<V> raw;
    raw.load(row + target / V * V);
    float score = 0.0f;
    for (int i = 0; i < V; i++) score = i == target % V ? raw[i] : score;
    p.nats[blockIdx.x] = log_denominator - score;
    p.z[blockIdx.x] = log_denominator * log_denominator;
  }
  if (!GRADIENT) return;
  __syncthreads();  // the target's score has been read
  const float factor = 1.0f + 2.0f * p.z_loss * log_denominator;
#pragma unroll 4
  for (int c = threadIdx.x * V; c < p.columns; c += THREADS * V) {
    Raw<V> raw;
    raw.load(row + c);
    float v[V];
#pragma unroll
    for (int i = 0; i < V; i++) {
      v[i] = c + i < p.vocab_size ? factor * exp2_fast(fmaf(raw[i], LOG2E, -log2_denominator)) : 0.0f;
      if (c + i == target) v[i] -= 1.0f;
    }
    store<V>(row + c, v);
  }
}
"""


@cache
def _module(bfloat16: bool, gradient: bool, device: int) -> runtime.Module:
    macros = (("BF16", int(bfloat16)), ("GRADIENT", int(gradient)), ("THREADS", _THREADS))
    return runtime.Module(elements.SOURCE + SOURCE, macros, device)


def cross_entropy_(
    scores: Tensor, targets: Tensor, vocab_size: int, gradient: bool, z_loss: float = 0.0
) -> tuple[Tensor, Tensor]:
    """-log p(target) in nats and squared log(denominator) of each row, float32 [rows].

    scores: bfloat16 or float32 [rows, columns], contiguous, ``columns`` a multiple of 4; columns from ``vocab_size`` on
    take no probability. targets: int64 [rows], below ``vocab_size``; rows with a negative one have no loss and no
    gradient. With ``gradient`` the scores are replaced by the
    gradient of the sum of all nats plus ``z_loss`` times the squares.
    """
    nats, z = scores.new_empty(2, len(scores), dtype=torch.float32)
    if len(scores):
        kernel = _module(scores.dtype == torch.bfloat16, gradient, scores.device.index).kernel("cross_entropy")
        sizes = {"columns": scores.shape[1], "vocab_size": vocab_size, "z_loss": z_loss}
        parameters = _PARAMETERS.pack({"scores": scores, "targets": targets, "nats": nats, "z": z}, sizes)
        stream = torch.cuda.current_stream(scores.device).cuda_stream
        kernel.launch((len(scores), 1, 1), _THREADS, parameters, stream)
    return nats, z
