"""CUDA C++ of a forward scan that needs no segments: lanes of a warp stand side by side in time.

Where batch x channels does not fill the device, one block walks all of a sequence for a few channels. A lane has
``STEPS`` neighbouring steps of one channel and takes its states in turn: what its steps do to a zero state, an exchange
with the ``SLOTS`` lanes of the same channel that gives the state before its steps, and the steps once more from there,
with the decays still in registers. So no kernel has to find first what segments do to the state.

Step sizes, inputs, B and C of a chunk, and parts of y (the sums over a lane's states), go through shared memory, each
in two versions: while a chunk is walked, the scalars of the next are computed and the y of the one before are finished,
and one barrier a chunk is enough. There, time is ordered so that lanes read four steps each without conflicts.
"""

SOURCE = r"""
constexpr int SLOTS = 8, STEPS = 16, WALK = SLOTS * STEPS;  // WALK steps are a chunk
// A warp has 2 channels x 2 quads of states (x ROUNDS) x SLOTS; a block QUADS x 4 channels.
constexpr int SIDES = N == 8 ? 1 : 2, ROUNDS = N / (8 * SIDES), QUADS = W / (2 * SIDES), THREADS = 32 * W;
constexpr int TASKS = WALK * QUADS / THREADS;  // (step, 4 channels) whose scalars a thread computes
// B and C are loaded by 4 warps each: 16 steps x 2 quads of states at a time.
constexpr int COLUMNS = N / 8, BC_LOADS = N / 4, BC_STEPS = STEPS * 4 / COLUMNS;
// Floats: 4 steps of all lanes of a warp, a pair of channels, 4 channels, all channels, a state of B or C. Some are left
// over to put neighbours into other banks.
constexpr int STEP_QUAD = 2 * 4 * SLOTS + 8, PAIR = STEPS / 4 * STEP_QUAD, QUAD = 2 * PAIR + 4, SCALAR = QUADS * QUAD;
constexpr int STATE_QUAD = 4 * SLOTS + 4, STATE = STEPS / 4 * STATE_QUAD + 4;
constexpr int PART = (SCALAR + 15) / 32 * 32 + 16, PARTS = 2 * SIDES;
// One version: step sizes, inputs, B, C, parts of y. After both: bias and D.
constexpr int INPUT_AT = SCALAR, BC_AT = 2 * SCALAR, PARTS_AT = BC_AT + 2 * N * STATE;
constexpr int VERSION = PARTS_AT + PARTS * PART, VECTORS_AT = 2 * VERSION;
static_assert(W % (2 * SIDES) == 0 && W >= 8 && TASKS * THREADS == WALK * QUADS, "");

__device__ __forceinline__ int scalar_at(int t, int quad) {
  return quad * QUAD + t / 4 % (STEPS / 4) * STEP_QUAD + t / STEPS * 8 + t % 4;
}
__device__ __forceinline__ constexpr int channel_at(int j) { return j / 2 * PAIR + j % 2 * 4; }

extern "C" __global__ void __launch_bounds__(THREADS, 1) scan_forward_whole(const __grid_constant__ Params p) {
  extern __shared__ __align__(16) float shared[];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, batch = blockIdx.z;
  const int c = lane & 1, half = lane >> 1 & 1, slot = lane >> 2, pair = warp / SIDES, side = warp % SIDES;
  const int first_channel = blockIdx.x * 4 * QUADS, channel = first_channel + 2 * pair + c;
  const bool live = channel < p.channels;

  // The scalars of this thread: TASKS times 4 channels of one step. Pointers are to what is loaded or stored next.
  int task_t[TASKS], task_at[TASKS], vectors_at[TASKS];
  const element *delta[TASKS], *u[TASKS], *z[TASKS];
  element *y_out[TASKS];
#pragma unroll
  for (int k = 0; k < TASKS; k++) {
    const int i = threadIdx.x + THREADS * k, quad = i % QUADS, t = i / QUADS;
    const bool outside = first_channel + 4 * quad >= p.channels;
    const int own = outside ? 0 : first_channel + 4 * quad;
    task_t[k] = outside ? 1 << 30 : t;  // after the end
    task_at[k] = scalar_at(t, quad);
    vectors_at[k] = VECTORS_AT + quad * 4;
    delta[k] = row_of(p.delta, p.delta_stride, batch, t, own);
    u[k] = row_of(p.u, p.u_stride, batch, t, own);
    z[k] = row_of(p.z, p.z_stride, batch, t, own);
    y_out[k] = p.y + ((i64)batch * p.length + t) * p.channels + own;
  }
  if (const int i = threadIdx.x; i < 4 * QUADS) {
    const bool inside = first_channel + i < p.channels;
    shared[VECTORS_AT + i] = inside && p.bias ? p.bias[first_channel + i] : 0.0f;
    shared[VECTORS_AT + 4 * QUADS + i] = inside && p.D ? p.D[first_channel + i] : 0.0f;
  }
  const bool loads_bc = warp < 8, of_C = warp >= 4;
  const Rows bc_stride = of_C ? p.C_stride : p.B_stride;
  const int bc_column = warp % COLUMNS * 8 + (lane & 1) * 4, bc_t = warp % 4 / COLUMNS * STEPS + lane / 2;
  int bc_at = BC_AT + ((of_C ? N : 0) + bc_column) * STATE + bc_t / 4 % 4 * STATE_QUAD + bc_t / STEPS * 4 + bc_t % 4;
  keep(bc_at);
  const element *bc = row_of(of_C ? p.C : p.B, bc_stride, batch, bc_t, bc_column);

  Raw<4> next_delta[TASKS], next_u[TASKS], now_u[TASKS], old_u[TASKS], old_z[TASKS], next_bc[BC_LOADS];
#pragma unroll
  for (int k = 0; k < TASKS; k++) { next_delta[k].zero(); next_u[k].zero(); now_u[k].zero(); old_z[k].zero(); }
#pragma unroll
  for (int k = 0; k < BC_LOADS; k++) next_bc[k].zero();
  // `left`: steps from the start of the chunk to the end of the sequence. Steps after the end keep what was there
  // before: their step size is set to zero.
  auto fetch = [&](int left) {
#pragma unroll
    for (int k = 0; k < TASKS; k++) {
      if (task_t[k] < left) next_delta[k].load(delta[k]);
      if (task_t[k] < left) next_u[k].load(u[k]);
      delta[k] += WALK * p.delta_stride.row;
      u[k] += WALK * p.u_stride.row;
    }
    if (loads_bc) {
#pragma unroll
      for (int k = 0; k < BC_LOADS; k++)
        if (bc_t + k * BC_STEPS < left) next_bc[k].load(bc + k * BC_STEPS * bc_stride.row);
      bc += WALK * bc_stride.row;
    }
  };
  auto share = [&](int left, int version) {
    float *const to = shared + version;
#pragma unroll
    for (int k = 0; k < TASKS; k++) {
      float bias[4];
      read_shared<4>(shared + vectors_at[k], bias);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float size = step_size(next_delta[k][j] + bias[j]), s = task_t[k] < left ? size : 0.0f;
        to[task_at[k] + channel_at(j)] = s;
        to[task_at[k] + channel_at(j) + INPUT_AT] = s * next_u[k][j];
      }
    }
    if (loads_bc)
#pragma unroll
      for (int k = 0; k < BC_LOADS; k++)
#pragma unroll
        for (int j = 0; j < 4; j++) to[bc_at + j * STATE + k * (BC_STEPS / STEPS * 4)] = next_bc[k][j];
  };
  auto fetch_gate = [&](int left) {
#pragma unroll
    for (int k = 0; k < TASKS; k++)
      if (HAS_Z) {
        if (task_t[k] < left) old_z[k].load(z[k]);
        z[k] += WALK * p.z_stride.row;
      }
  };
  auto finish = [&](int left, int version) {
    const float *const from = shared + version;
#pragma unroll
    for (int k = 0; k < TASKS; k++) {
      float y[4], D[4];
      read_shared<4>(shared + vectors_at[k] + 4 * QUADS, D);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        y[j] = D[j] * old_u[k][j];
#pragma unroll
        for (int part = 0; part < PARTS; part++) y[j] += from[task_at[k] + channel_at(j) + PARTS_AT + part * PART];
        if (HAS_Z) { const float v = old_z[k][j]; y[j] *= v * sigmoid(v); }
      }
      if (task_t[k] < left) store<4>(y_out[k], y);
      y_out[k] += WALK * p.channels;
    }
  };

  // The states before the first step of the chunk, in the lanes of the first slot; 0 in the others.
  float A2[ROUNDS][ST], carry[ROUNDS][ST];
  const i64 of_sequence = (i64)(live ? channel : 0) * N + (side * 2 + half) * ST, size = (i64)p.channels * N;
#pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    load_quad(p.A + of_sequence + r * SIDES * 8, A2[r], LOG2E);
    carry[r][0] = carry[r][1] = carry[r][2] = carry[r][3] = 0.0f;
    if (p.start && slot == 0) load_quad(p.start + batch * size + of_sequence + r * SIDES * 8, carry[r], 1.0f);
  }
  element *states = p.states + ((i64)batch * p.tiles + slot * STEPS / T) * size + (live ? channel / CH * CH : 0) * N +
      (side * 2 + half) * (CH * ST) + channel % CH * ST;
  int saved_t = p.states && live ? slot * STEPS : 1 << 30;  // after the end: none are saved
  int scalars_at = pair / 2 * QUAD + pair % 2 * PAIR + (slot * 2 + c) * 4;
  int state_at = BC_AT + (side * 8 + half * ST) * STATE + slot * 4;
  const int part_at = PARTS_AT + (side * 2 + half) * PART + scalars_at;
  keep(scalars_at); keep(state_at); keep(saved_t);

  auto walk = [&](int left, int version, u32 resets) {
    float *const chunk = shared + version;
    float s[STEPS], x[STEPS], y[STEPS], total = 0.0f;
#pragma unroll
    for (int q = 0; q < STEPS / 4; q++) {
      float v[4], w[4];
      read_shared<4>(chunk + scalars_at + q * STEP_QUAD, v);
      read_shared<4>(chunk + scalars_at + INPUT_AT + q * STEP_QUAD, w);
#pragma unroll
      for (int i = 0; i < 4; i++) { s[4 * q + i] = v[i]; x[4 * q + i] = w[i]; }
      total += (v[0] + v[1]) + (v[2] + v[3]);
    }
#pragma unroll
    for (int r = 0; r < ROUNDS; r++) {
      float saved[STEPS / 4][ST];
#pragma unroll
      for (int i = 0; i < ST; i++) {
        const float *B = chunk + state_at + (r * SIDES * 8 + i) * STATE, *C = B + N * STATE;
        float a[STEPS], in[STEPS];
#pragma unroll
        for (int q = 0; q < STEPS / 4; q++) {
          float b[4];
          read_shared<4>(B + q * STATE_QUAD, b);
#pragma unroll
          for (int t = 0; t < 4; t++) {
            a[4 * q + t] = exp2_fast(s[4 * q + t] * A2[r][i]);
            in[4 * q + t] = x[4 * q + t] * b[t];
          }
        }
        float decay = exp2_fast(total * A2[r][i]);
        if (HAS_RESETS && resets) {
          decay = 0.0f;
#pragma unroll
          for (int t = 0; t < STEPS; t++) a[t] = resets >> t & 1 ? 0.0f : a[t];
        }
        float h = in[0];
#pragma unroll
        for (int t = 1; t < STEPS; t++) h = fmaf(a[t], h, in[t]);
        // After all steps up to those of this lane. The decay of a lane that knows this is 0: it takes no more.
        h = fmaf(decay, carry[r][i], h);
        decay = slot == 0 ? 0.0f : decay;
#pragma unroll
        for (int d = 1; d < SLOTS; d *= 2) {
          h = fmaf(decay, __shfl_up_sync(ALL, h, 4 * d), h);
          if (2 * d < SLOTS) decay *= __shfl_up_sync(ALL, decay, 4 * d);
        }
        const float before = __shfl_sync(ALL, h, lane + 28 & 31);
        h = slot == 0 ? carry[r][i] : before;
        carry[r][i] = slot == 0 ? before : 0.0f;
#pragma unroll
        for (int q = 0; q < STEPS / 4; q++) {
          float cc[4];
          read_shared<4>(C + q * STATE_QUAD, cc);
          saved[q][i] = h;
#pragma unroll
          for (int t = 0; t < 4; t++) {
            h = fmaf(a[4 * q + t], h, in[4 * q + t]);
            y[4 * q + t] = r + i == 0 ? h * cc[t] : fmaf(h, cc[t], y[4 * q + t]);
          }
        }
      }
#pragma unroll
      for (int q = 0; q < STEPS / 4; q++)
        if (saved_t + q * T < left) store<ST>(states + q * size + r * SIDES * 2 * (CH * ST), saved[q]);
    }
    states += WALK / T * size;
#pragma unroll
    for (int q = 0; q < STEPS / 4; q++) {
      float v[4] = {y[4 * q], y[4 * q + 1], y[4 * q + 2], y[4 * q + 3]};
      write_shared<4>(chunk + part_at + q * STEP_QUAD, v);
    }
  };

  const u8 *flags = p.resets + (i64)batch * p.length;
  bool next_reset[WALK / 32];
  auto fetch_resets = [&](int t0) {
    if (HAS_RESETS)
#pragma unroll
      for (int k = 0; k < WALK / 32; k++) next_reset[k] = t0 + 32 * k + lane < p.length && flags[t0 + 32 * k + lane];
  };
  int now = 0, other = VERSION;  // versions in shared memory: of the chunk that is walked, of those beside it
  fetch_resets(0);
  fetch(p.length);
  __syncthreads();
  share(p.length, now);
#pragma unroll
  for (int k = 0; k < TASKS; k++) now_u[k] = next_u[k];
  fetch(p.length - WALK);
  __syncthreads();
#pragma unroll 1
  for (int t0 = 0; t0 < p.length; t0 += WALK) {
    const int left = p.length - t0;
    u32 resets = 0;
    if (HAS_RESETS) {
#pragma unroll
      for (int i = 0; i < WALK / 32; i++) {
        const u32 bits = __ballot_sync(ALL, next_reset[i]);
        if (slot / 2 == i) resets = bits;
      }
      resets = resets >> slot % 2 * STEPS & (1u << STEPS) - 1;
      fetch_resets(t0 + WALK);
    }
    if (t0 > 0) finish(left + WALK, other);
    fetch_gate(left);
    share(left - WALK, other);
#pragma unroll
    for (int k = 0; k < TASKS; k++) { old_u[k] = now_u[k]; now_u[k] = next_u[k]; }
    fetch(left - 2 * WALK);
    walk(left, now, resets);
    __syncthreads();
    now = VERSION - now;
    other = VERSION - other;
  }
  finish((p.length - 1) % WALK + 1, other);
  if (live && slot == 0)
#pragma unroll
    for (int r = 0; r < ROUNDS; r++) store_quad(p.last + batch * size + of_sequence + r * SIDES * 8, carry[r]);
}
"""
