"""CUDA C++ of what carries states on and gradients back between the segments into which a scan is cut.

The state after a segment from a zero state is a sum over its steps, each with the decay after it: an exponential of the
summed step sizes. So steps need no order: lanes stand side by side in time. The sum begins at the end of the segment
and goes back to the last reset; a state is left where what is earlier no longer counts (``FORGOTTEN``; with softplus
only: step sizes are not negative), which many states reach long before the start. The gradient of the state before a
segment is the same from its start on.
"""

SOURCE = r"""
// A lane has 16 neighbouring steps of one channel; a warp 4 channels x 8 such lanes: 128 steps are a chunk.
constexpr int SLOTS = 8, STEPS = 16, WALK = SLOTS * STEPS, QUADS = 8, CARRY_THREADS = 32 * QUADS;
// Floats in shared memory: 4 steps of all lanes of a warp, all its steps; 4 steps of all lanes of a state of B or C, all
// its steps. Those left over put neighbours into other banks.
constexpr int STEP_QUAD = 4 * 32 + 4, QUAD = STEPS / 4 * STEP_QUAD + 20;
constexpr int STATE_QUAD = 4 * SLOTS + 4, STATE = 160 + 128 / N;
constexpr int STATE_TILES = N / 4 * WALK / 4;  // 4 states x 4 steps of B or C: what a thread loads at once
constexpr int LOADS = (STATE_TILES + CARRY_THREADS - 1) / CARRY_THREADS;
constexpr int BUFFER_FLOATS = 2 * QUADS * QUAD + N * STATE;  // of a chunk, and of the next where there is room for two
constexpr int CARRY_FITTING = N == 32 ? 1 : 2;  // blocks on a multiprocessor; more leave too few registers
// A decay of 2 to this or less counts as 0: of a state like those after it, it leaves less than half of a last place.
constexpr float FORGOTTEN = -25.0f;
// Where state n of B or C is: neighbours of 4 are written by one thread.
__device__ __forceinline__ constexpr int state_at(int n) { return (n % 4 * (N / 4) + n / 4) * STATE; }

// `alone` and `decay` of one segment. "Step i" is the one that is walked i-th.
template <bool BACKWARD> __device__ __forceinline__ void carry_scan(const Params &p) {
  extern __shared__ __align__(16) float shared[];
  // Step sizes; step size x u, or the gradient of y before the gate; states of B or C.
  float *sizes = shared, *values = sizes + QUADS * QUAD, *states = values + QUADS * QUAD;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, slot = lane / 4, batch = blockIdx.z;
  const int segment = blockIdx.y + BACKWARD;  // nothing is after the last, or before the first
  const int begin = segment * p.segment_length, count = min(p.segment_length, p.length - begin);
  const int first_channel = blockIdx.x * 4 * QUADS, channel = first_channel + warp * 4 + lane % 4;
  const bool live = channel < p.channels;
  auto time = [&](int i) { return begin + (BACKWARD ? i : count - 1 - i); };
  // One multiplication and addition for each address.
  auto row = [&](const element *x, Rows stride, int i, int column) {
    const i64 bytes = (i64)time(min(i, count - 1)) * (stride.row * (int)sizeof(element));
    return reinterpret_cast<const element *>(reinterpret_cast<const char *>(x + batch * stride.batch + column) + bytes);
  };
  const element *x = BACKWARD ? p.dy : p.u, *v = BACKWARD ? p.C : p.B;
  const Rows x_stride = BACKWARD ? p.dy_stride : p.u_stride, v_stride = BACKWARD ? p.C_stride : p.B_stride;

  // This thread computes the scalars of 4 channels and 4 steps.
  const int own_quad = threadIdx.x % QUADS, own_i = threadIdx.x / QUADS * 4;
  const int own_channel = first_channel + 4 * own_quad < p.channels ? first_channel + 4 * own_quad : 0;
  const int own_at = own_quad * QUAD + own_i / 4 % 4 * STEP_QUAD + own_i / STEPS * 16;
  float bias[4];
#pragma unroll
  for (int j = 0; j < 4; j++) bias[j] = p.bias ? p.bias[own_channel + j] : 0.0f;

  float A2[N], sum[N], before = 0.0f;  // `before`: sum of the step sizes before the chunk
#pragma unroll
  for (int n = 0; n < N; n += 4) {
    float a[4];
    load_quad(p.A + (i64)(live ? channel : 0) * N + n, a, LOG2E);
#pragma unroll
    for (int i = 0; i < 4; i++) { A2[n + i] = a[i]; sum[n + i] = 0.0f; }
  }
  const u8 *flags = p.resets + (i64)batch * p.length;
  u32 walked = N == 32 ? ALL : (1u << N) - 1;  // the states that this warp has not left
  int stop = count;
  bool cut = false;
  // A chunk is loaded while the one before it is worked on.
  Raw<4> delta[4], value[4], z[4], loaded[LOADS][4];
  auto fetch = [&](int i0) {
#pragma unroll
    for (int k = 0; k < 4; k++) {
      delta[k].load(row(p.delta, p.delta_stride, i0 + own_i + k, own_channel));
      value[k].load(row(x, x_stride, i0 + own_i + k, own_channel));
      if (BACKWARD && HAS_Z) z[k].load(row(p.z, p.z_stride, i0 + own_i + k, own_channel));
    }
#pragma unroll
    for (int l = 0; l < LOADS; l++) {
      const int tile = l * CARRY_THREADS + threadIdx.x;
      if (tile >= STATE_TILES) break;
#pragma unroll
      for (int k = 0; k < 4; k++) loaded[l][k].load(row(v, v_stride, i0 + tile / (N / 4) * 4 + k, tile % (N / 4) * 4));
    }
  };
  fetch(0);
#pragma unroll 1
  for (int i0 = 0; i0 < stop; i0 += WALK) {
    if (HAS_RESETS) {
#pragma unroll
      for (int i = i0 + WALK - 32; i >= i0; i -= 32) {
        const u32 resets = __ballot_sync(ALL, i + lane < count && flags[time(i + lane)]);
        if (resets) { cut = true; stop = i + __ffs(resets) - BACKWARD; }
      }
    }
#pragma unroll
    for (int l = 0; l < LOADS; l++) {
      const int tile = l * CARRY_THREADS + threadIdx.x;
      if (tile >= STATE_TILES) break;
      const int column = tile % (N / 4) * 4, i = tile / (N / 4) * 4;
#pragma unroll
      for (int j = 0; j < 4; j++)
        write_shared<4>(states + state_at(column) + state_at(j) + i / 4 % 4 * STATE_QUAD + i / STEPS * 4,
                        {loaded[l][0][j], loaded[l][1][j], loaded[l][2][j], loaded[l][3][j]});
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float s[4], g[4];
#pragma unroll
      for (int k = 0; k < 4; k++) {
        const bool inside = i0 + own_i + k < stop;
        s[k] = step_size(delta[k][j] + bias[j]);
        g[k] = BACKWARD ? value[k][j] : s[k] * value[k][j];
        if (BACKWARD && HAS_Z) { const float gate = z[k][j]; g[k] *= gate * sigmoid(gate); }
        s[k] = inside ? s[k] : 0.0f;
        g[k] = inside ? g[k] : 0.0f;
      }
      write_shared<4>(sizes + own_at + 4 * j, s);
      write_shared<4>(values + own_at + 4 * j, g);
    }
    if (!__syncthreads_or(walked != 0)) break;
    if (i0 + WALK < stop) fetch(i0 + WALK);

    float s[STEPS], g[STEPS], total = 0.0f;
#pragma unroll
    for (int q = 0; q < STEPS / 4; q++) {
      float a[4], b[4];
      read_shared<4>(sizes + warp * QUAD + q * STEP_QUAD + lane * 4, a);
      read_shared<4>(values + warp * QUAD + q * STEP_QUAD + lane * 4, b);
#pragma unroll
      for (int i = 0; i < 4; i++) { s[4 * q + i] = a[i]; g[4 * q + i] = b[i]; total += a[i]; }
    }
#pragma unroll
    for (int d = 1; d < SLOTS; d *= 2) {
      const float other = __shfl_up_sync(ALL, total, 4 * d);
      total += slot >= d ? other : 0.0f;
    }
    float summed = __shfl_up_sync(ALL, total, 4);
    summed = before + (slot == 0 ? 0.0f : summed);
    // A step decays what was before it, but not its own input.
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
      const float until = summed;
      summed += s[i];
      s[i] = BACKWARD ? summed : until;
    }
#pragma unroll
    for (int n = 0; n < N; n++) {
      if (n % 4 == 0 && !(walked >> n)) break;  // as a rule the last states are left first
      if (!(walked >> n & 1)) continue;
      if (SOFTPLUS && !__any_sync(ALL, live && !(before * A2[n] <= FORGOTTEN))) { walked ^= 1u << n; continue; }
#pragma unroll
      for (int q = 0; q < STEPS / 4; q++) {
        float b[4];
        read_shared<4>(states + state_at(n) + q * STATE_QUAD + slot * 4, b);
#pragma unroll
        for (int i = 0; i < 4; i++) sum[n] = fmaf(exp2_fast(s[4 * q + i] * A2[n]), b[i] * g[4 * q + i], sum[n]);
      }
    }
    before += __shfl_sync(ALL, total, 28 + lane % 4);
    if (CARRY_BUFFERS == 2) {
      const int other = i0 / WALK % 2 ? -BUFFER_FLOATS : BUFFER_FLOATS;
      sizes += other; values += other; states += other;
    } else {
      __syncthreads();
    }
  }
#pragma unroll
  for (int n = 0; n < N; n++) {
#pragma unroll
    for (int mask = 4; mask < 32; mask *= 2) sum[n] += __shfl_xor_sync(ALL, sum[n], mask);
    if (live && n * SLOTS / N == slot) {
      const i64 at = ((i64)(batch * p.segments + segment) * p.channels + channel) * N + n;
      const float exponent = before * A2[n];
      p.alone[at] = sum[n];
      p.decay[at] = cut || (SOFTPLUS && exponent <= FORGOTTEN) ? 0.0f : exp2_fast(exponent);
    }
  }
}

// `joined` of all segments, in order.
template <bool BACKWARD> __device__ __forceinline__ void join_segments(const Params &p) {
  const i64 size = (i64)p.channels * N, i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const float *first = BACKWARD ? p.dlast : p.start;
  float h = first ? first[blockIdx.y * size + i] : 0.0f;
  i64 at = i + ((i64)blockIdx.y * p.segments + (BACKWARD ? p.segments - 1 : 0)) * size;
#pragma unroll 4
  for (int s = 1; s < p.segments; s++, at += BACKWARD ? -size : size) {
    p.joined[at] = h;
    h = fmaf(p.decay[at], h, p.alone[at]);
  }
  p.joined[at] = h;
}
"""
