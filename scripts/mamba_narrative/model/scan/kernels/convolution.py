"""CUDA C++ of the causal depthwise convolution with an optional SiLU.

A thread owns 4 neighbouring channels and walks a tile of time; the inputs of the window stay in registers, so each is
read once a tile. The backward walks the same tile and the ``WIDTH - 1`` steps after it, whose outputs depend on the tile
too. Gradients of weights and bias are one partial sum a tile, added by the caller in a fixed order.
"""

SOURCE = r"""
constexpr int W = WIDTH, V = 4, AHEAD = 8;

struct Params {
  const element *x, *dy, *window;  // window: [batch, W - 1, channels] or null: zeros
  const float *weight, *bias;      // [channels, W], [channels] or null
  const u8 *resets;
  element *y, *dx, *dwindow;
  float *dweight;                  // [batch * tiles, W + 1, channels]: weights, then bias
  Rows x_stride, dy_stride, dx_stride;
  int batch, length, channels, tile;
};

// Slot j of a window holds position t - (W - 1) + j; a bit of `same` says whether it is of the book of t.
struct Place {
  int channel, batch, begin, end;
  __device__ __forceinline__ Place(const Params &p) {
    channel = (blockIdx.x * blockDim.x + threadIdx.x) * V; batch = blockIdx.z;
    begin = blockIdx.y * p.tile; end = min(begin + p.tile, p.length);
  }
};
__device__ __forceinline__ u32 step_books(u32 same, bool reset) {
  return (reset ? 0u : same >> 1) | 1u << (W - 1);
}
// The W - 1 inputs before the tile, in slots 0 to W - 2 as seen from the step before it.
__device__ __forceinline__ u32 load_past(const Params &p, const Place &at, float (&seen)[W][V]) {
  u32 same = (1u << W) - 1;
  for (int j = 1; j < W; j++) {
    const int t = at.begin - W + j;
    Raw<V> raw;
    raw.zero();
    if (t >= 0) raw.load(row_of(p.x, p.x_stride, at.batch, t, at.channel));
    else if (p.window) raw.load(p.window + ((i64)at.batch * (W - 1) + t + W - 1) * p.channels + at.channel);
    for (int v = 0; v < V; v++) seen[j][v] = raw[v];
    if (HAS_RESETS) same = step_books(same, t >= 0 && p.resets[(i64)at.batch * p.length + t]);
  }
  return same;
}
__device__ __forceinline__ void load_weights(const Params &p, int channel, float (&w)[W][V], float (&bias)[V]) {
  for (int v = 0; v < V; v++) {
    for (int j = 0; j < W; j++) w[j][v] = p.weight[(i64)(channel + v) * W + j];
    bias[v] = p.bias ? p.bias[channel + v] : 0.0f;
  }
}

extern "C" __global__ void conv_forward(const __grid_constant__ Params p) {
  const Place at(p);
  if (at.channel >= p.channels) return;
  float w[W][V], bias[V], seen[W][V];
  load_weights(p, at.channel, w, bias);
  u32 same = load_past(p, at, seen);
  const u8 *flags = p.resets + (i64)at.batch * p.length;
  for (int t0 = at.begin; t0 < at.end; t0 += AHEAD) {
    Raw<V> ahead[AHEAD];
#pragma unroll
    for (int i = 0; i < AHEAD; i++) ahead[i].load(row_of(p.x, p.x_stride, at.batch, min(t0 + i, at.end - 1), at.channel));
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
      const int t = t0 + i;
      if (t >= at.end) break;
      if (HAS_RESETS) same = step_books(same, flags[t]);
      float out[V];
#pragma unroll
      for (int v = 0; v < V; v++) {
#pragma unroll
        for (int j = 0; j < W - 1; j++) seen[j][v] = seen[j + 1][v];
        seen[W - 1][v] = ahead[i][v];
        float sum = bias[v];
#pragma unroll
        for (int j = 0; j < W; j++) sum = fmaf(!HAS_RESETS || (same >> j & 1) ? seen[j][v] : 0.0f, w[j][v], sum);
        out[v] = SILU ? sum * sigmoid(sum) : sum;
      }
      store<V>(p.y + ((i64)at.batch * p.length + t) * p.channels + at.channel, out);
    }
  }
}

extern "C" __global__ void conv_backward(const __grid_constant__ Params p) {
  const Place at(p);
  if (at.channel >= p.channels) return;
  float w[W][V], bias[V], seen[W][V], dw[W][V], db[V], dx[W][V];
  load_weights(p, at.channel, w, bias);
  u32 same = load_past(p, at, seen);
#pragma unroll
  for (int v = 0; v < V; v++) {
    db[v] = 0.0f;
#pragma unroll
    for (int j = 0; j < W; j++) dw[j][v] = dx[j][v] = 0.0f;
  }
  const u8 *flags = p.resets + (i64)at.batch * p.length;
  // A finished slot: an input of this tile, or of the window before the first one.
  auto write = [&](int t, const float (&gradient)[V]) {
    if (t >= at.begin && t < at.end)
      store<V>(row_of(p.dx, p.dx_stride, at.batch, t, at.channel), gradient);
    else if (t < 0 && p.dwindow)
      store<V>(p.dwindow + ((i64)at.batch * (W - 1) + t + W - 1) * p.channels + at.channel, gradient);
  };
  const int stop = min(at.end + W - 1, p.length);
  for (int t0 = at.begin; t0 < stop; t0 += AHEAD) {
    Raw<V> ahead[AHEAD], dy[AHEAD];
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
      ahead[i].load(row_of(p.x, p.x_stride, at.batch, min(t0 + i, stop - 1), at.channel));
      dy[i].load(row_of(p.dy, p.dy_stride, at.batch, min(t0 + i, stop - 1), at.channel));
    }
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
      const int t = t0 + i;
      if (t >= stop) break;
      if (HAS_RESETS) same = step_books(same, flags[t]);
      const bool own = t < at.end;
#pragma unroll
      for (int v = 0; v < V; v++) {
#pragma unroll
        for (int j = 0; j < W - 1; j++) { seen[j][v] = seen[j + 1][v]; dx[j][v] = dx[j + 1][v]; }
        seen[W - 1][v] = ahead[i][v];
        dx[W - 1][v] = 0.0f;
        float sum = bias[v];
#pragma unroll
        for (int j = 0; j < W; j++) sum = fmaf(!HAS_RESETS || (same >> j & 1) ? seen[j][v] : 0.0f, w[j][v], sum);
        float g = dy[i][v];
        if (SILU) { const float s = sigmoid(sum); g *= fmaf(sum * s, 1.0f - s, s); }
        if (own) db[v] += g;
#pragma unroll
        for (int j = 0; j < W; j++)
          if (!HAS_RESETS || (same >> j & 1)) {
            dx[j][v] = fmaf(g, w[j][v], dx[j][v]);
            if (own) dw[j][v] = fmaf(g, seen[j][v], dw[j][v]);
          }
      }
      write(t - (W - 1), dx[0]);
    }
  }
  // The sequence ended: what came last has no later outputs.
#pragma unroll
  for (int j = 1; j < W; j++) write(stop - W + j, dx[j]);
  float *out = p.dweight + ((i64)at.batch * gridDim.y + blockIdx.y) * (W + 1) * p.channels + at.channel;
#pragma unroll
  for (int v = 0; v < V; v++) {
#pragma unroll
    for (int j = 0; j < W; j++) out[(i64)j * p.channels + v] = dw[j][v];
    out[(i64)W * p.channels + v] = db[v];
  }
}
"""
