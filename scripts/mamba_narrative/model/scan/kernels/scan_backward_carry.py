"""CUDA C++ of what carries gradients back from segment to segment, where the backward scan is cut into segments.

The gradient of the state before a segment is a sum over its steps, each with the decay up to it: an exponential of the
summed step sizes. So steps need no order: lanes stand side by side in time, the sum ends at the first reset, and a
state is left where its decay has become 0 in float32 (with softplus: step sizes are not negative), which many states
reach long before the end of a segment.
"""

SOURCE = r"""
// A lane has 16 neighbouring steps of one channel; a warp 4 channels x 8 such lanes: 128 steps are a chunk.
constexpr int SLOTS = 8, STEPS = 16, WALK = SLOTS * STEPS, QUADS = 4, CARRY_THREADS = 32 * QUADS;
// Floats in shared memory: 4 steps of all lanes of a warp, all its steps, a state of C; those left over put neighbours
// into other banks.
constexpr int STEP_QUAD = 4 * 32 + 4, QUAD = STEPS / 4 * STEP_QUAD + 24;
constexpr int STATE_QUAD = 4 * SLOTS + 4, STATE = STEPS / 4 * STATE_QUAD + 4;
constexpr int CARRY_FITTING = N == 32 ? 3 : 5;  // that fit on a multiprocessor
constexpr float NOTHING = -127.0f;  // 2 to this is 0, as it is not a normal number

extern "C" __global__ void __launch_bounds__(CARRY_THREADS, CARRY_FITTING)
scan_backward_carry(const __grid_constant__ Params p) {
  __shared__ __align__(16) float sizes[QUADS * QUAD];
  __shared__ __align__(16) float grads[QUADS * QUAD];
  __shared__ __align__(16) float Cs[N * STATE];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, slot = lane / 4, batch = blockIdx.z;
  // Nothing is before the first segment.
  const int segment = blockIdx.y + 1;
  const int begin = segment * p.segment_length, end = min(begin + p.segment_length, p.length);
  const int first_channel = blockIdx.x * 4 * QUADS, channel = first_channel + warp * 4 + lane % 4;
  const bool live = channel < p.channels;

  // Scalars: this thread computes those of 4 channels every 32 steps.
  const int own_quad = threadIdx.x % QUADS, own_t = threadIdx.x / QUADS;
  const bool own_live = first_channel + 4 * own_quad < p.channels;
  const int own_channel = own_live ? first_channel + 4 * own_quad : 0;
  float bias[4];
#pragma unroll
  for (int j = 0; j < 4; j++) bias[j] = p.bias ? p.bias[own_channel + j] : 0.0f;
  // C: two quads of states every few steps.
  constexpr int COLUMNS = N / 8, C_LOADS = N / 4, C_STEPS = STEPS * 4 / COLUMNS;
  const int c_column = warp % COLUMNS * 8 + lane % 2 * 4, c_t = warp / COLUMNS * STEPS + lane / 2;
  const int c_at = c_column * STATE + c_t / 4 % 4 * STATE_QUAD + c_t / STEPS * 4 + c_t % 4;

  float A2[N], sum[N], before = 0.0f;  // `before`: sum of the step sizes before the chunk
#pragma unroll
  for (int n = 0; n < N; n += 4) {
    float v[4];
    load_quad(p.A + (i64)(live ? channel : 0) * N + n, v, LOG2E);
#pragma unroll
    for (int i = 0; i < 4; i++) { A2[n + i] = v[i]; sum[n + i] = 0.0f; }
  }
  const u8 *flags = p.resets + (i64)batch * p.length;
  int stop = end;
#pragma unroll 1
  for (int t0 = begin; t0 < stop; t0 += WALK) {
    if (HAS_RESETS) {
#pragma unroll
      for (int i = WALK / 32 - 1; i >= 0; i--) {
        const int t = t0 + 32 * i;
        const u32 resets = __ballot_sync(ALL, t + lane < end && flags[t + lane]);
        if (resets) stop = t + __ffs(resets) - 1;
      }
    }
    Raw<4> delta[4], dy[4], z[4], c[C_LOADS];
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int t = min(t0 + own_t + 32 * k, end - 1);
      delta[k].load(row_of(p.delta, p.delta_stride, batch, t, own_channel));
      dy[k].load(row_of(p.dy, p.dy_stride, batch, t, own_channel));
      if (HAS_Z) z[k].load(row_of(p.z, p.z_stride, batch, t, own_channel));
    }
#pragma unroll
    for (int k = 0; k < C_LOADS; k++)
      c[k].load(row_of(p.C, p.C_stride, batch, min(t0 + c_t + k * C_STEPS, end - 1), c_column));
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int t = own_t + 32 * k, at = own_quad * QUAD + t / 4 % 4 * STEP_QUAD + t / STEPS * 16 + t % 4;
      const bool inside = t0 + t < stop && own_live;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float s = step_size(delta[k][j] + bias[j]);
        float g = dy[k][j];
        if (HAS_Z) { const float v = z[k][j]; g *= v * sigmoid(v); }
        sizes[at + 4 * j] = inside ? s : 0.0f;
        grads[at + 4 * j] = inside ? g : 0.0f;
      }
    }
#pragma unroll
    for (int k = 0; k < C_LOADS; k++)
#pragma unroll
      for (int j = 0; j < 4; j++) Cs[c_at + j * STATE + k * (C_STEPS / STEPS * 4)] = c[k][j];
    __syncthreads();

    float s[STEPS], g[STEPS];  // s: summed from the start of the segment
#pragma unroll
    for (int q = 0; q < STEPS / 4; q++) {
      float v[4], w[4];
      read_shared<4>(sizes + warp * QUAD + q * STEP_QUAD + lane * 4, v);
      read_shared<4>(grads + warp * QUAD + q * STEP_QUAD + lane * 4, w);
#pragma unroll
      for (int i = 0; i < 4; i++) { s[4 * q + i] = v[i]; g[4 * q + i] = w[i]; }
    }
#pragma unroll
    for (int t = 1; t < STEPS; t++) s[t] += s[t - 1];
    float total = s[STEPS - 1];
#pragma unroll
    for (int d = 1; d < SLOTS; d *= 2) {
      const float other = __shfl_up_sync(ALL, total, 4 * d);
      total += slot >= d ? other : 0.0f;
    }
    const float earlier = __shfl_up_sync(ALL, total, 4), base = before + (slot == 0 ? 0.0f : earlier);
#pragma unroll
    for (int t = 0; t < STEPS; t++) s[t] += base;
    bool more = !SOFTPLUS;  // without it a decay can grow again
#pragma unroll
    for (int n = 0; n < N; n++) {
      if (SOFTPLUS && !__any_sync(ALL, live && !(before * A2[n] <= NOTHING))) continue;
      more = true;
#pragma unroll
      for (int q = 0; q < STEPS / 4; q++) {
        float cc[4];
        read_shared<4>(Cs + n * STATE + q * STATE_QUAD + slot * 4, cc);
#pragma unroll
        for (int i = 0; i < 4; i++)
          sum[n] = fmaf(exp2_fast(s[4 * q + i] * A2[n]), cc[i] * g[4 * q + i], sum[n]);
      }
    }
    before += __shfl_sync(ALL, total, 28 + lane % 4);
    if (!__syncthreads_or(more)) break;
  }
#pragma unroll
  for (int n = 0; n < N; n++) {
#pragma unroll
    for (int mask = 4; mask < 32; mask *= 2) sum[n] += __shfl_xor_sync(ALL, sum[n], mask);
    if (live && n * SLOTS / N == slot) {
      const i64 at = ((i64)(batch * p.segments + segment) * p.channels + channel) * N + n;
      p.dstart[at] = sum[n];
      p.decay[at] = stop < end ? 0.0f : exp2_fast(before * A2[n]);
    }
  }
}

// Gradients of the states between segments, last first. `dstart` and `decay` of each segment alone; `joined` gets the
// gradient of the state after each.
extern "C" __global__ void scan_join_backward(const __grid_constant__ Params p) {
  const i64 size = (i64)p.channels * N, i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const i64 first = (i64)blockIdx.y * p.segments * size + i;
  float h = p.dlast ? p.dlast[blockIdx.y * size + i] : 0.0f;
#pragma unroll 4
  for (int s = p.segments - 1; s > 0; s--) {
    p.joined[first + s * size] = h;
    h = fmaf(p.decay[first + s * size], h, p.dstart[first + s * size]);
  }
  p.joined[first] = h;
}
"""
