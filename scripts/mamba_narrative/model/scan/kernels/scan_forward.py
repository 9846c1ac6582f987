"""CUDA C++ of the forward scan. For the backward it saves the state every 4 steps and the output before the gate, in the
type of the inputs.
"""

SOURCE = r"""
// The scalars of a tile are computed while the tile before it is walked. What they are made of was on its way into shared
// memory for two tiles by then: a copy that needs no register can be ahead far enough to wait for main memory.
constexpr int STAGES = 4;  // tiles there: walked, the one whose scalars are computed, and two on their way
constexpr int OWN = OS * OC * 32, BC_TILE = 2 * T * N, BC_LOADS = (BC_TILE / 4 + 31) / 32;  // of a warp, in elements
constexpr int RAW = 3 * OWN + BC_LOADS * 128 <= 512 ? 512 : 1024;  // u, delta, z, B and C of a tile
static_assert(3 * OWN + BC_LOADS * 128 <= RAW, "");
extern "C" __global__ void __launch_bounds__(32 * W, MIN_BLOCKS) scan_forward(const __grid_constant__ Params p) {
  const Lane me(p.channels);
  const int segment = blockIdx.y, batch = blockIdx.z;
  const int begin = segment * p.segment_length, end = min(begin + p.segment_length, p.length);
  constexpr int BUFFER = 2 * CG * GROUP + BC_TILE;
  __shared__ __align__(16) float shared[W * 2 * BUFFER];
  int read_at = me.warp * 2 * BUFFER + me.c * GROUP, write_at = read_at + me.own_step * CH + me.own_slot;
  int bc_read_at = me.warp * 2 * BUFFER + 2 * CG * GROUP + me.g * ST;
  int bc_write_at = me.warp * 2 * BUFFER + 2 * CG * GROUP + me.lane * 4;
  keep(read_at); keep(write_at); keep(bc_read_at); keep(bc_write_at);
  __shared__ __align__(16) element raw[W * STAGES * RAW];
  // What this lane copied and will read itself.
  element *own = raw + me.warp * STAGES * RAW + me.lane * OC, *own_bc = raw + me.warp * STAGES * RAW + 3 * OWN + me.lane * 4;

  float A2[CH][ST], h[CH][ST];
#pragma unroll
  for (int c = 0; c < CH; c++) {
    load_quad(p.A + (i64)(me.group_channel + c) * N + me.g * ST, A2[c], LOG2E);
    h[c][0] = h[c][1] = h[c][2] = h[c][3] = 0.0f;
    if (p.start)
      load_quad(p.start + ((i64)(batch * p.segments + segment) * p.channels + me.group_channel + c) * N + me.g * ST, h[c], 1.0f);
  }
  float bias[OC], D[OC];
#pragma unroll
  for (int j = 0; j < OC; j++) {
    bias[j] = p.bias ? p.bias[me.own_channel + j] : 0.0f;
    D[j] = p.D ? p.D[me.own_channel + j] : 0.0f;
  }

  int fetch_t = begin + me.own_step;  // the first step that the next fetch brings to this lane
  const element *u = row_of(p.u, p.u_stride, batch, fetch_t, me.own_channel);
  const element *delta = row_of(p.delta, p.delta_stride, batch, fetch_t, me.own_channel);
  const element *z = row_of(p.z, p.z_stride, batch, fetch_t, me.own_channel);
  element *y = p.y + ((i64)batch * p.length + fetch_t) * p.channels + me.own_channel;
  const i64 to_ungated = p.ungated - p.y;
  const element *bc[BC_LOADS];
  i64 bc_step[BC_LOADS];
  int bc_t[BC_LOADS];
#pragma unroll
  for (int k = 0; k < BC_LOADS; k++) {
    const int i = me.lane + 32 * k, row = i / (N / 4), column = i % (N / 4) * 4;
    const Rows stride = row < T ? p.B_stride : p.C_stride;
    bc[k] = (row < T ? p.B : p.C) + batch * stride.batch + (begin + row % T) * stride.row + column;
    bc_step[k] = T * stride.row;
    bc_t[k] = begin + row % T;
  }
  // Steps after the end are zeros.
  auto fetch = [&](int stage) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      const bool inside = fetch_t + i < end;
      copy_async<OC>(own + stage + i * 32 * OC, u + i * p.u_stride.row, inside);
      copy_async<OC>(own + stage + OWN + i * 32 * OC, delta + i * p.delta_stride.row, inside);
      if (HAS_Z) copy_async<OC>(own + stage + 2 * OWN + i * 32 * OC, z + i * p.z_stride.row, inside);
    }
    u += T * p.u_stride.row; delta += T * p.delta_stride.row;
    if (HAS_Z) z += T * p.z_stride.row;
    fetch_t += T;
#pragma unroll
    for (int k = 0; k < BC_LOADS; k++) {
      const bool has_quad = BC_TILE % 128 == 0 || me.lane + 32 * k < BC_TILE / 4;
      copy_async<4>(own_bc + stage + k * 128, bc[k], has_quad && bc_t[k] < end);
      bc[k] += bc_step[k];
      bc_t[k] += T;
    }
    copies_end();
  };
  float now_s[OS][OC], now_x[OS][OC];
  float4 now_bc[BC_LOADS];
  auto compute_scalars = [&](int stage, int t) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      Raw<OC> raw_u, raw_delta;
      raw_u.load(own + stage + i * 32 * OC);
      raw_delta.load(own + stage + OWN + i * 32 * OC);
#pragma unroll
      for (int j = 0; j < OC; j++) {
        float s = step_size(raw_delta[j] + bias[j]);
        now_s[i][j] = t + i < end ? s : 0.0f;
        now_x[i][j] = now_s[i][j] * raw_u[j];
      }
    }
#pragma unroll
    for (int k = 0; k < BC_LOADS; k++) {
      Raw<4> v;
      v.load(own_bc + stage + k * 128);
      now_bc[k] = make_float4(v[0], v[1], v[2], v[3]);
    }
  };
  auto share_scalars = [&](int buffer) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      write_shared<OC>(shared + write_at + buffer + i * CH, now_s[i]);
      write_shared<OC>(shared + write_at + buffer + CG * GROUP + i * CH, now_x[i]);
    }
#pragma unroll
    for (int k = 0; k < BC_LOADS; k++)
      if (BC_TILE % 128 == 0 || me.lane + 32 * k < BC_TILE / 4)
        *reinterpret_cast<float4 *>(shared + bc_write_at + buffer + 128 * k) = now_bc[k];
  };
  int own_t = begin + me.own_step, stage = 0;
  for (int i = 0; i < STAGES - 1; i++) fetch(i * RAW);
  copies_wait<STAGES - 2>();
  compute_scalars(0, own_t);
  share_scalars(0);
  __syncwarp();

  const i64 size = (i64)p.channels * N;
  element *state = p.states + ((i64)batch * p.tiles + begin / T) * size + me.saved_at();
  const u8 *flags = p.resets + (i64)batch * p.length;
  bool next_reset = HAS_RESETS && begin + me.lane < end && flags[begin + me.lane];
  int buffer = 0;
  for (int t0 = begin; t0 < end;) {
    u32 resets = 0;
    if (HAS_RESETS) {
      resets = __ballot_sync(ALL, next_reset);
      next_reset = t0 + K + me.lane < end && flags[t0 + K + me.lane];
    }
    const int chunk_end = min(t0 + K, end);
#pragma unroll 2
    for (; t0 < chunk_end; t0 += T, resets >>= T, buffer ^= BUFFER) {
      fetch((stage + (STAGES - 1) * RAW) & (STAGES * RAW - 1));
      copies_wait<STAGES - 2>();
      compute_scalars((stage + RAW) & (STAGES * RAW - 1), own_t + T);
      if (p.states && me.live) {
#pragma unroll
        for (int c = 0; c < CH; c++) {
#if BF16
          if (c % 2 == 0)
            *reinterpret_cast<uint4 *>(state + c * ST) = make_uint4(
                pack(h[c][0], h[c][1]), pack(h[c][2], h[c][3]), pack(h[c + 1][0], h[c + 1][1]), pack(h[c + 1][2], h[c + 1][3]));
#else
          store<ST>(state + c * ST, h[c]);
#endif
        }
      }
      state += size;

      float step[GROUP], input[GROUP], out[T][CH];
      read_shared<GROUP>(shared + read_at + buffer, step);
      read_shared<GROUP>(shared + read_at + buffer + CG * GROUP, input);
#pragma unroll
      for (int t = 0; t < T; t++) {
        float b[ST], cc[ST];
        read_shared<ST>(shared + bc_read_at + buffer + t * N, b);
        read_shared<ST>(shared + bc_read_at + buffer + (T + t) * N, cc);
        const float off = HAS_RESETS && (resets >> t & 1) ? minus_infinity() : 0.0f;
#pragma unroll
        for (int c = 0; c < CH; c++) {
          float sum = 0.0f;
#pragma unroll
          for (int i = 0; i < ST; i++) {
            float a = decay(step[t * CH + c], A2[c][i], off);
            h[c][i] = fmaf(a, h[c][i], input[t * CH + c] * b[i]);
            sum = i == 0 ? h[c][i] * cc[i] : fmaf(h[c][i], cc[i], sum);
          }
          out[t][c] = sum;
        }
      }
      share_scalars(buffer ^ BUFFER);
      float sums[OS][OC];
      sum_states(out, sums, me.g);
#pragma unroll
      for (int i = 0; i < OS; i++) {
        float r[OC], gated[OC];
        Raw<OC> raw_u, raw_z;
        raw_u.load(own + stage + i * 32 * OC);
        if (HAS_Z) raw_z.load(own + stage + 2 * OWN + i * 32 * OC);
#pragma unroll
        for (int j = 0; j < OC; j++) {
          gated[j] = r[j] = fmaf(D[j], raw_u[j], sums[i][j]);
          if (HAS_Z) { float v = raw_z[j]; gated[j] *= v * sigmoid(v); }
        }
        if (own_t + i < end && me.live) {
          store<OC>(y + i * p.channels, gated);
          if (HAS_Z && p.ungated) store<OC>(y + to_ungated + i * p.channels, r);
        }
      }
      y += T * p.channels;
      own_t += T;
      stage = (stage + RAW) & (STAGES * RAW - 1);
      __syncwarp();
    }
  }
  copies_wait<0>();
  if (me.live && segment == p.segments - 1) {
    float *last = p.last + ((i64)batch * p.channels + me.group_channel) * N + me.g * ST;
#pragma unroll
    for (int c = 0; c < CH; c++) store_quad(last + c * N, h[c]);
  }
}

extern "C" __global__ void __launch_bounds__(CARRY_THREADS, CARRY_FITTING) scan_forward_carry(const __grid_constant__ Params p) {
  carry_scan<false>(p);
}
extern "C" __global__ void scan_forward_join(const __grid_constant__ Params p) { join_segments<false>(p); }
"""
