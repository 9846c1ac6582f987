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
__device__ __forceinline__ float4 quad(const float *p) { return *reinterpret_cast<const float4 *>(p); }

// Inputs of the scan for 4 channels: x after convolution and SiLU.
__device__ __forceinline__ float4 convolved(const Params &p, int batch, int channel) {
  Raw<4> seen[W];
#pragma unroll
  for (int j = 0; j < W - 1; j++) seen[j].load(p.window + ((i64)batch * (W - 1) + j) * p.channels + channel);
  seen[W - 1].load(p.xz + (i64)batch * 2 * p.channels + channel);
  float weight[4 * W], out[4];
#pragma unroll
  for (int i = 0; i < W; i++) {
    const float4 w = quad(p.conv_weight + channel * W + 4 * i);
    weight[4 * i] = w.x; weight[4 * i + 1] = w.y; weight[4 * i + 2] = w.z; weight[4 * i + 3] = w.w;
  }
#pragma unroll
  for (int v = 0; v < 4; v++) {
    float sum = p.conv_bias ? p.conv_bias[channel + v] : 0.0f;
#pragma unroll
    for (int j = 0; j < W; j++) sum = fmaf(seen[j][v], weight[v * W + j], sum);
    out[v] = sum * sigmoid(sum);
  }
  return make_float4(out[0], out[1], out[2], out[3]);
}

// Blocks: (rows of x_proj, batch). A warp has a row.
extern "C" __global__ void step_project(const __grid_constant__ Params p) {
  extern __shared__ __align__(16) float x[];
  const int batch = blockIdx.y, lane = threadIdx.x % 32, rows = RANK + 2 * N;
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  for (int c = threadIdx.x * 4; c < p.channels; c += blockDim.x * 4)
    *reinterpret_cast<float4 *>(x + c) = convolved(p, batch, c);
  __syncthreads();
  if (row >= rows) return;
  float sum = 0.0f;
#pragma unroll 12
  for (int c = lane * 4; c < p.channels; c += 128) {
    Raw<4> w;
    w.load(p.x_proj + (i64)row * p.channels + c);
    const float4 v = quad(x + c);
    sum = fmaf(w[0], v.x, fmaf(w[1], v.y, fmaf(w[2], v.z, fmaf(w[3], v.w, sum))));
  }
#pragma unroll
  for (int mask = 16; mask; mask >>= 1) sum += __shfl_xor_sync(ALL, sum, mask);
  if (lane == 0) p.projected[(i64)batch * rows + row] = sum;
}

// Blocks: (channels, batch). G lanes a channel. All reads of global memory are under way before the first is waited for.
extern "C" __global__ void step_scan(const __grid_constant__ Params p) {
  constexpr int PARTS = (RANK / 4 + G - 1) / G;
  __shared__ __align__(16) float projected[RANK + 2 * N];
  const int batch = blockIdx.y, g = threadIdx.x % G, index = (blockIdx.x * blockDim.x + threadIdx.x) / G;
  const bool live = index < p.channels;
  const int channel = live ? index : 0;
  const i64 at = ((i64)batch * p.channels + channel) * N + g * ST;
  float4 h = quad(p.state + at);
  const float4 A = quad(p.A_log + (i64)channel * N + g * ST);
  Raw<4> dt[PARTS];
#pragma unroll
  for (int i = 0; i < PARTS; i++) {
    dt[i].zero();
    if (4 * (g + i * G) < RANK) dt[i].load(p.dt_proj + (i64)channel * RANK + 4 * (g + i * G));
  }
  const element *xz = p.xz + (i64)batch * 2 * p.channels + channel;
  element *window = p.window + (i64)batch * (W - 1) * p.channels + channel;
  element seen[W];
#pragma unroll
  for (int j = 0; j < W - 1; j++) seen[j] = window[(i64)j * p.channels];
  seen[W - 1] = *xz;
  const float z = one(xz + p.channels), D = p.D[channel], bias = p.dt_bias[channel];
  float x = p.conv_bias ? p.conv_bias[channel] : 0.0f;
  float weight[W];
#pragma unroll
  for (int j = 0; j < W; j++) weight[j] = p.conv_weight[channel * W + j];
  for (int i = threadIdx.x; i < RANK + 2 * N; i += blockDim.x)
    projected[i] = p.projected[(i64)batch * (RANK + 2 * N) + i];
  __syncthreads();
#pragma unroll
  for (int j = 0; j < W; j++) x = fmaf(one(&seen[j]), weight[j], x);
  x *= sigmoid(x);
  float raw = 0.0f;
#pragma unroll
  for (int i = 0; i < PARTS; i++) {
    const int r = 4 * (g + i * G);
    if (r < RANK)
#pragma unroll
      for (int k = 0; k < 4; k++) raw = fmaf(dt[i][k], projected[r + k], raw);
  }
#pragma unroll
  for (int mask = G / 2; mask; mask >>= 1) raw += __shfl_xor_sync(ALL, raw, mask);
  raw += bias;
  const float s = fmaxf(raw, 0.0f) + log1pf(__expf(-fabsf(raw)));
  const float4 B = quad(projected + RANK + g * ST), C = quad(projected + RANK + N + g * ST);
  const float step = -s * LOG2E, input = s * x;
  h.x = fmaf(exp2_fast(step * __expf(A.x)), h.x, input * B.x);
  h.y = fmaf(exp2_fast(step * __expf(A.y)), h.y, input * B.y);
  h.z = fmaf(exp2_fast(step * __expf(A.z)), h.z, input * B.z);
  h.w = fmaf(exp2_fast(step * __expf(A.w)), h.w, input * B.w);
  float y = fmaf(h.x, C.x, fmaf(h.y, C.y, fmaf(h.z, C.z, h.w * C.w)));
  // After this exchange the whole group has read the window.
#pragma unroll
  for (int mask = G / 2; mask; mask >>= 1) y += __shfl_xor_sync(ALL, y, mask);
  if (!live) return;
  *reinterpret_cast<float4 *>(p.state + at) = h;
  if (g == 0) {
#pragma unroll
    for (int j = 0; j < W - 1; j++) window[(i64)j * p.channels] = seen[j + 1];
    y = fmaf(D, x, y) * (z * sigmoid(z));
#if BF16
    p.y[(i64)batch * p.channels + channel] = (u16)pack(y, 0.0f);
#else
    p.y[(i64)batch * p.channels + channel] = y;
#endif
  }
}
"""
