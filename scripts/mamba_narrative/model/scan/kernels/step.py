"""CUDA C++ of one step of generation: what a mixer does between its two large matrix products, in two kernels.

The first finds step size, B and C of each sequence (convolution and the products with ``x_proj``); the second has a few
lanes a channel, each with some of the states, and updates state and window in place. The convolution is so little work
that both compute it.
"""

SOURCE = r"""
constexpr int N = D_STATE, ST = 4, G = N / ST, W = WIDTH;
constexpr u32 ALL = 0xffffffffu;

struct Params {
  const element *xz;        // [batch, 2 * channels]
  element *window;          // [batch, W - 1, channels]
  const float *conv_weight, *conv_bias;
  const element *x_proj, *dt_proj;  // [RANK + 2 N, channels], [channels, RANK]
  const float *dt_bias, *A_log, *D;
  float *state, *projected; // [batch, channels, N], [batch, RANK + 2 N]
  element *y;               // [batch, channels]
  int batch, channels;
};

__device__ __forceinline__ float one(const element *p) {
#if BF16
  return __uint_as_float((u32)*p << 16);
#else
  return *p;
#endif
}
// Input of the scan: x after convolution and SiLU.
__device__ __forceinline__ float convolved(const Params &p, int batch, int channel) {
  float sum = p.conv_bias ? p.conv_bias[channel] : 0.0f;
#pragma unroll
  for (int j = 0; j < W - 1; j++)
    sum = fmaf(one(p.window + ((i64)batch * (W - 1) + j) * p.channels + channel), p.conv_weight[channel * W + j], sum);
  sum = fmaf(one(p.xz + (i64)batch * 2 * p.channels + channel), p.conv_weight[channel * W + W - 1], sum);
  return sum * sigmoid(sum);
}

// Blocks: (some of the rows of x_proj, batch). A warp has a row at a time.
extern "C" __global__ void step_project(const __grid_constant__ Params p) {
  extern __shared__ __align__(16) float x[];
  const int batch = blockIdx.y, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  for (int c = threadIdx.x; c < p.channels; c += blockDim.x) x[c] = convolved(p, batch, c);
  __syncthreads();
  const int rows = RANK + 2 * N;
  for (int row = blockIdx.x * warps + threadIdx.x / 32; row < rows; row += gridDim.x * warps) {
    float sum = 0.0f;
#pragma unroll 8
    for (int c = lane * 4; c < p.channels; c += 128) {
      Raw<4> w;
      w.load(p.x_proj + (i64)row * p.channels + c);
      const float4 v = *reinterpret_cast<const float4 *>(x + c);
      sum = fmaf(w[0], v.x, fmaf(w[1], v.y, fmaf(w[2], v.z, fmaf(w[3], v.w, sum))));
    }
#pragma unroll
    for (int mask = 16; mask; mask >>= 1) sum += __shfl_xor_sync(ALL, sum, mask);
    if (lane == 0) p.projected[(i64)batch * rows + row] = sum;
  }
}

// Blocks: (channels, batch). G lanes a channel.
extern "C" __global__ void step_scan(const __grid_constant__ Params p) {
  __shared__ __align__(16) float projected[RANK + 2 * N];
  const int batch = blockIdx.y, g = threadIdx.x % G, channel = (blockIdx.x * blockDim.x + threadIdx.x) / G;
  for (int i = threadIdx.x; i < RANK + 2 * N; i += blockDim.x)
    projected[i] = p.projected[(i64)batch * (RANK + 2 * N) + i];
  __syncthreads();
  if (channel >= p.channels) return;  // whole groups
  const u32 group = ((1u << G) - 1u) << (threadIdx.x % 32 / G * G);
  float raw = 0.0f;
#pragma unroll
  for (int r = g * 4; r < RANK; r += 4 * G) {
    Raw<4> w;
    w.load(p.dt_proj + (i64)channel * RANK + r);
#pragma unroll
    for (int i = 0; i < 4; i++) raw = fmaf(w[i], projected[r + i], raw);
  }
#pragma unroll
  for (int mask = G / 2; mask; mask >>= 1) raw += __shfl_xor_sync(group, raw, mask);
  raw += p.dt_bias[channel];
  const float s = fmaxf(raw, 0.0f) + log1pf(__expf(-fabsf(raw)));
  const float x = convolved(p, batch, channel);
  const i64 at = ((i64)batch * p.channels + channel) * N + g * ST;
  float4 h = *reinterpret_cast<const float4 *>(p.state + at);
  const float4 A = *reinterpret_cast<const float4 *>(p.A_log + (i64)channel * N + g * ST);
  const float4 B = *reinterpret_cast<const float4 *>(projected + RANK + g * ST);
  const float4 C = *reinterpret_cast<const float4 *>(projected + RANK + N + g * ST);
  const float step = -s * LOG2E, input = s * x;
  h.x = fmaf(exp2_fast(step * __expf(A.x)), h.x, input * B.x);
  h.y = fmaf(exp2_fast(step * __expf(A.y)), h.y, input * B.y);
  h.z = fmaf(exp2_fast(step * __expf(A.z)), h.z, input * B.z);
  h.w = fmaf(exp2_fast(step * __expf(A.w)), h.w, input * B.w);
  *reinterpret_cast<float4 *>(p.state + at) = h;
  float y = fmaf(h.x, C.x, fmaf(h.y, C.y, fmaf(h.z, C.z, h.w * C.w)));
#pragma unroll
  for (int mask = G / 2; mask; mask >>= 1) y += __shfl_xor_sync(group, y, mask);
  __syncwarp(group);  // the window has been read by the whole group
  if (g == 0) {
    const element *xz = p.xz + (i64)batch * 2 * p.channels + channel;
    element *window = p.window + (i64)batch * (W - 1) * p.channels + channel;
#pragma unroll
    for (int j = 0; j < W - 1; j++) window[(i64)j * p.channels] = j + 1 < W - 1 ? window[(i64)(j + 1) * p.channels] : *xz;
    const float z = one(xz + p.channels);
    y = fmaf(p.D[channel], x, y) * (z * sigmoid(z));
#if BF16
    p.y[(i64)batch * p.channels + channel] = (u16)pack(y, 0.0f);
#else
    p.y[(i64)batch * p.channels + channel] = y;
#endif
  }
}
"""
