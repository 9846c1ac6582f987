"""CUDA C++ of the sum of a residual stream and its root mean square normalisation, forward and backward.

One warp has one row at a time; the row stays in registers. ``D_MODEL`` is a multiple of 128. The gradient of the weight
is summed by each warp over its rows, by each block over its warps, and by the caller over the blocks, in fixed orders.
With ``DROPS`` values of the update are dropped (`cuda.dropout`) on their way into the sum, and their gradients again.
"""

SOURCE = r"""
constexpr int V = D_MODEL / 128;  // groups of 4 elements of a lane
constexpr u32 ALL = 0xffffffffu;

struct Params {
  const float *x, *weight, *dx_later;  // dx_later: gradient of the sum from elsewhere, or null
  const element *update, *dnormed;     // update: null for none
  const i64 *draw;                     // of what is dropped
  float *sum, *dx, *dweight;           // dweight: [blocks, D_MODEL]
  element *normed, *dupdate;
  int rows, blocks;
  int length, site, dropped;  // see `cuda.dropout`; length: rows of a sequence
  float scale;
};

__device__ __forceinline__ float sum_of_warp(float v) {
#pragma unroll
  for (int mask = 16; mask; mask >>= 1) v += __shfl_xor_sync(ALL, v, mask);
  return v;
}
__device__ __forceinline__ void load_float(const float *p, float (&v)[4]) {
  float4 f = *reinterpret_cast<const float4 *>(p);
  v[0] = f.x; v[1] = f.y; v[2] = f.z; v[3] = f.w;
}
__device__ __forceinline__ void store_float(float *p, const float (&v)[4]) {
  *reinterpret_cast<float4 *>(p) = make_float4(v[0], v[1], v[2], v[3]);
}
// One bit a value, as registers are few.
struct KeptOfLane {
  u32 bits[(V + 7) / 8];
  __device__ __forceinline__ KeptOfLane(const Params &p, int row, int lane) : bits{} {
    if (!DROPS) return;
#pragma unroll
    for (int k = 0; k < V; k += 2)
      bits[k / 8] |= kept_bits(p.draw, 16 * k + lane, row % p.length, row / p.length, p.site, p.dropped) << k % 8 * 4;
  }
  __device__ __forceinline__ float apply(int k, int i, float scaled) const {
    return bits[k / 8] >> (k % 8 * 4 + i) & 1 ? scaled : 0.0f;
  }
};
__device__ __forceinline__ float inverse_root(float squares) { return rsqrtf(squares / D_MODEL + 1e-5f); }

extern "C" __global__ void __launch_bounds__(32 * WARPS) norm_forward(const __grid_constant__ Params p) {
  const int lane = threadIdx.x % 32, row = blockIdx.x * WARPS + threadIdx.x / 32;
  if (row >= p.rows) return;
  const i64 at = (i64)row * D_MODEL + lane * 4;
  float x[V][4], squares = 0.0f;
#pragma unroll
  for (int k = 0; k < V; k++) load_float(p.x + at + k * 128, x[k]);
  const KeptOfLane kept(p, row, lane);
#pragma unroll
  for (int k = 0; k < V; k++) {
    if (HAS_UPDATE) {
      Raw<4> update;
      update.load(p.update + at + k * 128);
#pragma unroll
      for (int i = 0; i < 4; i++) x[k][i] += DROPS ? kept.apply(k, i, update[i] * p.scale) : update[i];
      store_float(p.sum + at + k * 128, x[k]);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) squares = fmaf(x[k][i], x[k][i], squares);
  }
  const float r = inverse_root(sum_of_warp(squares));
#pragma unroll
  for (int k = 0; k < V; k++) {
    float w[4];
    load_float(p.weight + lane * 4 + k * 128, w);
#pragma unroll
    for (int i = 0; i < 4; i++) w[i] *= x[k][i] * r;
    store<4>(p.normed + at + k * 128, w);
  }
}

// x here is the sum.
extern "C" __global__ void __launch_bounds__(32 * WARPS) norm_backward(const __grid_constant__ Params p) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float w[V][4], dw[V][4];
#pragma unroll
  for (int k = 0; k < V; k++) {
    load_float(p.weight + lane * 4 + k * 128, w[k]);
    dw[k][0] = dw[k][1] = dw[k][2] = dw[k][3] = 0.0f;
  }
  for (int row = blockIdx.x * WARPS + warp; row < p.rows; row += p.blocks * WARPS) {
    const i64 at = (i64)row * D_MODEL + lane * 4;
    float x[V][4], squares = 0.0f, product = 0.0f;
    Raw<4> dn[V];
#pragma unroll
    for (int k = 0; k < V; k++) { load_float(p.x + at + k * 128, x[k]); dn[k].load(p.dnormed + at + k * 128); }
#pragma unroll
    for (int k = 0; k < V; k++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        squares = fmaf(x[k][i], x[k][i], squares);
        product = fmaf(x[k][i] * dn[k][i], w[k][i], product);
      }
    const KeptOfLane kept(p, row, lane);
    const float r = inverse_root(sum_of_warp(squares));
    const float s = -r * r * r / D_MODEL * sum_of_warp(product);
#pragma unroll
    for (int k = 0; k < V; k++) {
      float dx[4] = {0.0f, 0.0f, 0.0f, 0.0f};
      if (HAS_LATER) load_float(p.dx_later + at + k * 128, dx);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float g = dn[k][i] * r;
        dx[i] += fmaf(g, w[k][i], s * x[k][i]);
        dw[k][i] = fmaf(g, x[k][i], dw[k][i]);
      }
      store_float(p.dx + at + k * 128, dx);
      if (DROPS)
#pragma unroll
        for (int i = 0; i < 4; i++) dx[i] = kept.apply(k, i, dx[i] * p.scale);
      if (HAS_UPDATE) store<4>(p.dupdate + at + k * 128, dx);
    }
  }
  __shared__ float sums[WARPS][D_MODEL];
#pragma unroll
  for (int k = 0; k < V; k++) store_float(&sums[warp][lane * 4 + k * 128], dw[k]);
  __syncthreads();
  for (int i = threadIdx.x; i < D_MODEL; i += 32 * WARPS) {
    float sum = 0.0f;
    for (int j = 0; j < WARPS; j++) sum += sums[j][i];
    p.dweight[(i64)blockIdx.x * D_MODEL + i] = sum;
  }
}
"""
