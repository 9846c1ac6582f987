"""CUDA C++ of the backward scan.

It walks the tiles of 4 steps in reverse. The states and decays of a tile are recomputed into registers from the state
before it, which the forward saved in the type of the inputs: rounded once, so its error is below that of the rounded
results. dB and dC are summed over the channels of a block in a fixed order and written as one partial sum a block; the
kernel that adds those keeps the order, so two runs are equal to the bit.
"""

SOURCE = r"""
// Lanes of neighbouring groups hold the states of a quad in an order that differs by XOR, so that the first two steps
// of the sum over channels need no selection: slot i of a lane is state i ^ order.
__device__ __forceinline__ void reorder(float (&v)[ST], int order) {
  bool two = order & 2, one = order & 1;
  float a = two ? v[2] : v[0], b = two ? v[3] : v[1], c = two ? v[0] : v[2], d = two ? v[1] : v[3];
  v[0] = one ? b : a; v[1] = one ? a : b; v[2] = one ? d : c; v[3] = one ? c : d;
}

// The states of a lane as the forward saved them, from their copy: 16 bytes of each of 32 lanes are side by side.
struct SavedState {
#if BF16
  u32 bits[CH * ST / 2];
  __device__ __forceinline__ void load(const element *p) {
#pragma unroll
    for (int i = 0; i < CH * ST / 8; i++) {
      uint4 v = reinterpret_cast<const uint4 *>(p)[32 * i];
      bits[4 * i] = v.x; bits[4 * i + 1] = v.y; bits[4 * i + 2] = v.z; bits[4 * i + 3] = v.w;
    }
  }
  // `selectors`: for each half of a quad the bytes of its two states in the lane's order.
  __device__ __forceinline__ void decode(float (&h)[CH][ST], int, const u32 (&selectors)[2]) const {
#pragma unroll
    for (int c = 0; c < CH; c++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const u32 v = __byte_perm(bits[2 * c], bits[2 * c + 1], selectors[half]);
        h[c][2 * half] = __uint_as_float(v << 16);
        h[c][2 * half + 1] = __uint_as_float(v & 0xffff0000u);
      }
  }
#else
  float values[CH][ST];
  __device__ __forceinline__ void load(const element *p) {
#pragma unroll
    for (int c = 0; c < CH; c++) load_quad(p + 32 * c * ST, values[c], 1.0f);
  }
  __device__ __forceinline__ void decode(float (&h)[CH][ST], int order, const u32 (&)[2]) const {
#pragma unroll
    for (int c = 0; c < CH; c++) {
#pragma unroll
      for (int i = 0; i < ST; i++) h[c][i] = values[c][i];
      reorder(h[c], order);
    }
  }
#endif
};

constexpr int TILES = K / T;
constexpr float LN2 = 0.6931471805599453f;
constexpr int VERSION = 2 * K * N + 8;  // floats of B and C of a chunk in one of four orders; 8: other banks
constexpr int SCALARS = CG * GROUP, BUFFER = 3 * SCALARS;
constexpr int SUMS = 2 * N * T;
// Sums over states go through shared memory: [step][array][lane][CH], a step shifted to other banks.
constexpr int STEP_PARTS = 2 * 32 * CH + CH, PARTS = T * STEP_PARTS;
// As copied, of the tile at work and the next: u, delta, dy, z, ungated, each [OS][lane][OC], and states, 16 bytes a lane.
constexpr int OWN = OS * OC * 32, RAW = 5 * OWN + 32 * CH * ST, VECTOR = 16 / sizeof(element);
constexpr int WARP_FLOATS = 2 * BUFFER + TILES * SUMS + PARTS + 2 * RAW * sizeof(element) / 4;

__device__ __forceinline__ void backward_scan(const Params &p) {
  Lane me(p.channels);
  keep(me.own_channel);
  const int segment = blockIdx.y, batch = blockIdx.z;
  const int begin = segment * p.segment_length, end = min(begin + p.segment_length, p.length);
  const int order = (me.c & 1) << 1 | (me.c >> 1 & 1);
  // B and C in four orders; for each warp: s, x and gradients of y of two tiles, sums over channels of a chunk.
  extern __shared__ __align__(16) float shared[];
  int bc_at = order * VERSION + me.g * ST, warp_at = 4 * VERSION + me.warp * WARP_FLOATS;
  int read_at = warp_at + me.c * GROUP, write_at = read_at + me.own_step * CH + me.own_slot;
  int parts_at = warp_at + 2 * BUFFER + TILES * SUMS;
  keep(bc_at); keep(warp_at); keep(read_at); keep(write_at); keep(parts_at);

  float A2[CH][ST], dA[CH][ST], carry[CH][ST];
  const int number = batch * p.segments + segment;
  const i64 of_sequence = (i64)me.group_channel * N + me.g * ST, size = (i64)p.channels * N;
#pragma unroll
  for (int c = 0; c < CH; c++) {
    load_quad(p.A + of_sequence + c * N, A2[c], LOG2E);
    carry[c][0] = carry[c][1] = carry[c][2] = carry[c][3] = 0.0f;
    dA[c][0] = dA[c][1] = dA[c][2] = dA[c][3] = 0.0f;
    if (p.dlast && me.live) load_quad(p.dlast + number * size + of_sequence + c * N, carry[c], 1.0f);
    reorder(A2[c], order);
    reorder(carry[c], order);
  }
  const u32 in_order = order & 1 ? 0x1032u : 0x3210u;
  const u32 selectors[2] = {in_order + (order & 2 ? 0x4444u : 0u), in_order + (order & 2 ? 0u : 0x4444u)};
  float bias[OC], D[OC], dbias[OC], dD[OC];
#pragma unroll
  for (int j = 0; j < OC; j++) {
    bias[j] = p.bias ? p.bias[me.own_channel + j] : 0.0f;
    D[j] = p.D ? p.D[me.own_channel + j] : 0.0f;
    dbias[j] = dD[j] = 0.0f;
  }

  // The tile before is copied while a tile is worked on. Steps outside get a neighbour's values, to be masked.
  int own_t = begin + (end - begin - 1) / T * T + me.own_step;  // of the tile being copied
  const element *state = p.states + ((i64)batch * p.tiles + (own_t - me.own_step) / T) * size + me.saved_at();
  const element *u = sequence_of(p.u, p.u_stride, batch), *delta = sequence_of(p.delta, p.delta_stride, batch);
  const element *z = sequence_of(p.z, p.z_stride, batch), *dy = sequence_of(p.dy, p.dy_stride, batch);
  const Rows whole = {(i64)p.length * p.channels, p.channels};  // of what has no strides
  const element *ungated = sequence_of(p.ungated, whole, batch);
  element *y = p.y ? sequence_of(p.y, whole, batch) : nullptr, *dz = sequence_of(p.dz, p.dz_stride, batch);
  element *du = sequence_of(p.du, whole, batch), *ddelta = sequence_of(p.ddelta, whole, batch);
  element *copied = reinterpret_cast<element *>(shared + parts_at + PARTS);
  element *own_copied = copied + me.lane * OC, *own_state = copied + 5 * OWN + me.lane * VECTOR;
  auto fetch = [&](int slot) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      const int t = max(min(own_t + i, end - 1), begin);
      element *to = own_copied + slot + i * 32 * OC;
      copy_async<OC>(to, row_at(u, p.u_stride.row, t, me.own_channel), true);
      copy_async<OC>(to + OWN, row_at(delta, p.delta_stride.row, t, me.own_channel), true);
      copy_async<OC>(to + 2 * OWN, row_at(dy, p.dy_stride.row, t, me.own_channel), true);
      if (HAS_Z) {
        copy_async<OC>(to + 3 * OWN, row_at(z, p.z_stride.row, t, me.own_channel), true);
        copy_async<OC>(to + 4 * OWN, row_at(ungated, p.channels, t, me.own_channel), true);
      }
    }
#pragma unroll
    for (int i = 0; i < CH * ST / VECTOR; i++)
      copy_async<VECTOR>(own_state + slot + i * 32 * VECTOR, state + i * VECTOR, true);
    copies_end();
  };
  // Of the tile being worked on: what the outputs of this lane need. What the gate alone decides is written at once: the
  // gradient of z, and the output, which then need not be kept from the forward.
  float u_own[OS][OC], slope_delta[OS][OC];
  auto take = [&](int buffer, int slot) {
    copies_wait<0>();
#pragma unroll
    for (int i = 0; i < OS; i++) {
      const bool inside = own_t + i >= begin && own_t + i < end && me.live;
      float s[OC], x[OC], g[OC], out_z[OC], out_y[OC];
      Raw<OC> raw_u, raw_delta, raw_dy, raw_z, raw_ungated;
      const element *from = own_copied + slot + i * 32 * OC;
      raw_u.load(from); raw_delta.load(from + OWN); raw_dy.load(from + 2 * OWN);
      if (HAS_Z) { raw_z.load(from + 3 * OWN); raw_ungated.load(from + 4 * OWN); }
#pragma unroll
      for (int j = 0; j < OC; j++) {
        const float raw = raw_delta[j] + bias[j];
        u_own[i][j] = raw_u[j];
        if (SOFTPLUS) {
          const float e = exp2_fast(-fabsf(raw) * LOG2E), r = reciprocal(1.0f + e);
          s[j] = softplus_of(raw, e);
          slope_delta[i][j] = raw >= 0.0f ? r : e * r;
        } else {
          s[j] = raw;
          slope_delta[i][j] = 1.0f;
        }
        g[j] = raw_dy[j];
        if (HAS_Z) {
          const float v = raw_z[j], sg = sigmoid(v);
          out_z[j] = g[j] * fmaf(v * sg, 1.0f - sg, sg) * raw_ungated[j];
          out_y[j] = v * sg * raw_ungated[j];
          g[j] *= v * sg;
        }
        s[j] = inside ? s[j] : 0.0f;
        x[j] = s[j] * u_own[i][j];
        g[j] = inside ? g[j] : 0.0f;
      }
      float *to = shared + write_at + buffer + i * CH;
      write_shared<OC>(to, s);
      write_shared<OC>(to + SCALARS, x);
      write_shared<OC>(to + 2 * SCALARS, g);
      if (HAS_Z && inside) {
        store<OC>(row_at(dz, p.dz_stride.row, own_t + i, me.own_channel), out_z);
        if (y) store<OC>(row_at(y, p.channels, own_t + i, me.own_channel), out_y);
      }
    }
  };

  // B and C of a chunk: this thread's quads.
  constexpr int BC_CHUNK = 2 * K * N / 4, BC_LOADS = (BC_CHUNK + 32 * W - 1) / (32 * W);
  Raw<4> next_bc[BC_LOADS];
  auto fetch_bc = [&](int t0) {
#pragma unroll
    for (int k = 0; k < BC_LOADS; k++) {
      const int i = threadIdx.x + 32 * W * k, row = i / (N / 4), t = t0 + row % K, column = i % (N / 4) * 4;
      next_bc[k].zero();
      if (t < end && i < BC_CHUNK) {
        if (row < K) next_bc[k].load(row_of(p.B, p.B_stride, batch, t, column));
        else next_bc[k].load(row_of(p.C, p.C_stride, batch, t, column));
      }
    }
  };
  int t0 = begin + (end - begin - 1) / K * K, buffer = 0, slot = 0;
  fetch_bc(t0);
  fetch(0);
  take(0, 0);
  const u8 *flags = p.resets + (i64)batch * p.length;
  bool next_reset = HAS_RESETS && t0 + me.lane < end && flags[t0 + me.lane];

  for (; t0 >= begin; t0 -= K) {
    const int last_tile = (min(K, end - t0) - 1) / T;
#pragma unroll
    for (int k = 0; k < BC_LOADS; k++) {
      if (threadIdx.x + 32 * W * k >= BC_CHUNK) break;
      float4 *to = reinterpret_cast<float4 *>(shared + (threadIdx.x + 32 * W * k) * 4);
      const Raw<4> v = next_bc[k];
      to[0] = make_float4(v[0], v[1], v[2], v[3]);
      to[VERSION / 4] = make_float4(v[1], v[0], v[3], v[2]);
      to[2 * VERSION / 4] = make_float4(v[2], v[3], v[0], v[1]);
      to[3 * VERSION / 4] = make_float4(v[3], v[2], v[1], v[0]);
    }
    u32 resets = 0;
    if (HAS_RESETS) resets = __ballot_sync(ALL, next_reset);
    __syncthreads();
    if (t0 > begin) {
      fetch_bc(t0 - K);
      if (HAS_RESETS) next_reset = me.lane < K && flags[t0 - K + me.lane];
    }

    int tile_bc = bc_at + last_tile * T * N;
#pragma unroll 1
    for (int tile = last_tile; tile >= 0; tile--, tile_bc -= T * N, buffer ^= BUFFER) {
      own_t -= T;
      if (t0 + tile * T > begin) state -= size;
      keep(own_t);
      fetch(slot ^ RAW);
      float a[T][CH][ST], hs[T + 1][CH][ST];
      SavedState before;
      before.load(own_state + slot);
      before.decode(hs[0], order, selectors);
      float step[GROUP], input[GROUP], gy[GROUP];
      read_shared<GROUP>(shared + read_at + buffer, step);
      read_shared<GROUP>(shared + read_at + buffer + SCALARS, input);
#pragma unroll
      for (int t = 0; t < T; t++) {
        float b[ST];
        read_shared<ST>(shared + tile_bc + t * N, b);
        const float off = HAS_RESETS && (resets >> (tile * T + t) & 1) ? minus_infinity() : 0.0f;
#pragma unroll
        for (int c = 0; c < CH; c++)
#pragma unroll
          for (int i = 0; i < ST; i++) {
            a[t][c][i] = decay(step[t * CH + c], A2[c][i], off);
            hs[t + 1][c][i] = fmaf(a[t][c][i], hs[t][c][i], input[t * CH + c] * b[i]);
          }
      }
      read_shared<GROUP>(shared + read_at + buffer + 2 * SCALARS, gy);
      float sums[T][2];
#pragma unroll
      for (int t = T - 1; t >= 0; t--) {
        float b[ST], cc[ST], db[ST], dc[ST], ds[CH], dx[CH];
        read_shared<ST>(shared + tile_bc + t * N, b);
        read_shared<ST>(shared + tile_bc + (K + t) * N, cc);
#pragma unroll
        for (int c = 0; c < CH; c++) {
          float dssum, dxsum;
#pragma unroll
          for (int i = 0; i < ST; i++) {
            const float g = gy[t * CH + c], x = input[t * CH + c], hh = hs[t + 1][c][i];
            float d = fmaf(cc[i], g, carry[c][i]);
            dc[i] = c == 0 ? hh * g : fmaf(hh, g, dc[i]);
            db[i] = c == 0 ? d * x : fmaf(d, x, db[i]);
            dxsum = i == 0 ? d * b[i] : fmaf(d, b[i], dxsum);
            d *= a[t][c][i];
            carry[c][i] = d;
            d *= hs[t][c][i];
            dssum = i == 0 ? d * A2[c][i] : fmaf(d, A2[c][i], dssum);
            dA[c][i] = fmaf(d, step[t * CH + c], dA[c][i]);
          }
          ds[c] = dssum; dx[c] = dxsum;
        }
        float *parts = shared + parts_at + t * STEP_PARTS + me.lane * CH;
        write_shared<CH>(parts, ds);
        write_shared<CH>(parts + 32 * CH, dx);
        // Sum over the channels of the warp: two halvings that the order of states makes free of selections.
        float b0 = db[0] + __shfl_xor_sync(ALL, db[2], G), b1 = db[1] + __shfl_xor_sync(ALL, db[3], G);
        float c0 = dc[0] + __shfl_xor_sync(ALL, dc[2], G), c1 = dc[1] + __shfl_xor_sync(ALL, dc[3], G);
        sums[t][0] = b0 + __shfl_xor_sync(ALL, b1, 2 * G);
        sums[t][1] = c0 + __shfl_xor_sync(ALL, c1, 2 * G);
      }
      float *tile_sums = shared + warp_at + 2 * BUFFER + tile * SUMS;  // [2 N][T]
      const int n = me.g * ST + order;
      if constexpr (CG == 4) {
        reinterpret_cast<float4 *>(tile_sums)[n] = make_float4(sums[0][0], sums[1][0], sums[2][0], sums[3][0]);
        reinterpret_cast<float4 *>(tile_sums)[N + n] = make_float4(sums[0][1], sums[1][1], sums[2][1], sums[3][1]);
      } else {
        float r[T];
        const int of_c = me.c >> 2 & 1;
#pragma unroll
        for (int t = 0; t < T; t++) r[t] = halve(sums[t][0], sums[t][1], of_c, 4 * G);
        if constexpr (CG == 8) {
          reinterpret_cast<float4 *>(tile_sums)[of_c * N + n] = make_float4(r[0], r[1], r[2], r[3]);
        } else {
          const int late = me.c >> 3 & 1;
          float r0 = halve(r[0], r[2], late, 8 * G), r1 = halve(r[1], r[3], late, 8 * G);
          reinterpret_cast<float2 *>(tile_sums)[(of_c * N + n) * 2 + late] = make_float2(r0, r1);
        }
      }
      __syncwarp();
      float ds_own[OS][OC], dx_own[OS][OC];
      auto sum_parts = [&](int array, float (&own)[OS][OC]) {
#pragma unroll
        for (int i = 0; i < OS; i++) {
          const float *from = shared + parts_at + (me.own_step + i) * STEP_PARTS + (array * 32 + me.c * G) * CH + me.own_slot;
#pragma unroll
          for (int other = 0; other < G; other++) {
            float v[OC];
            read_some<OC>(from + other * CH, v);
#pragma unroll
            for (int j = 0; j < OC; j++) own[i][j] = other == 0 ? v[j] : own[i][j] + v[j];
          }
        }
      };
      sum_parts(0, ds_own);
      sum_parts(1, dx_own);
#pragma unroll
      for (int i = 0; i < OS; i++) {
        float out_u[OC], out_delta[OC];
        const bool inside = own_t + T + i < end && me.live;
        const float *own = shared + write_at + buffer + i * CH;
#pragma unroll
        for (int j = 0; j < OC; j++) {
          const float s = own[j], g = own[2 * SCALARS + j];
          out_delta[j] = slope_delta[i][j] * fmaf(u_own[i][j], dx_own[i][j], LN2 * ds_own[i][j]);
          out_u[j] = fmaf(s, dx_own[i][j], D[j] * g);
          dbias[j] += inside ? out_delta[j] : 0.0f;
          dD[j] = fmaf(g, u_own[i][j], dD[j]);
        }
        if (inside) {
          store<OC>(row_at(du, p.channels, own_t + T + i, me.own_channel), out_u);
          store<OC>(row_at(ddelta, p.channels, own_t + T + i, me.own_channel), out_delta);
        }
      }
      slot ^= RAW;
      take(buffer ^ BUFFER, slot);
      __syncwarp();
    }
    __syncthreads();
    // Sum over the warps of the block, in order; one float4 is four steps of one column.
    for (int i = threadIdx.x; i < (last_tile + 1) * 2 * N; i += 32 * W) {
      const int tile = i / (2 * N), column = i % (2 * N);
      const float *from = shared + 4 * VERSION + 2 * BUFFER + tile * SUMS + column * T;
      float4 sum = *reinterpret_cast<const float4 *>(from);
#pragma unroll
      for (int w = 1; w < W; w++) {
        const float4 f = *reinterpret_cast<const float4 *>(from + w * WARP_FLOATS);
        sum.x += f.x; sum.y += f.y; sum.z += f.z; sum.w += f.w;
      }
      const int t = t0 + tile * T;
      float *out = p.dBC + (((i64)blockIdx.x * p.batch + batch) * p.length + t) * 2 * N + column;
      if (t < end) out[0] = sum.x;
      if (t + 1 < end) out[2 * N] = sum.y;
      if (t + 2 < end) out[4 * N] = sum.z;
      if (t + 3 < end) out[6 * N] = sum.w;
    }
  }
#pragma unroll
  for (int j = 0; j < OC; j++) {
    dD[j] += __shfl_xor_sync(ALL, dD[j], 1);
    dbias[j] += __shfl_xor_sync(ALL, dbias[j], 1);
    if (G >= 4) {
      dD[j] += __shfl_xor_sync(ALL, dD[j], 2);
      dbias[j] += __shfl_xor_sync(ALL, dbias[j], 2);
    }
  }
  if (me.live) {
    if (me.g % 4 == 0) {
      float *out = p.dvectors + (i64)number * 2 * p.channels + me.own_channel;
#pragma unroll
      for (int j = 0; j < OC; j++) { out[j] = dD[j]; out[p.channels + j] = dbias[j]; }
    }
#pragma unroll
    for (int c = 0; c < CH; c++) {
      reorder(dA[c], order);
      reorder(carry[c], order);
      store_quad(p.dA + number * size + of_sequence + c * N, dA[c]);
      if (segment == 0 && p.dstart) store_quad(p.dstart + batch * size + of_sequence + c * N, carry[c]);
    }
  }
}

extern "C" __global__ void __launch_bounds__(32 * W, MIN_BLOCKS) scan_backward(const __grid_constant__ Params p) {
  backward_scan(p);
}
extern "C" __global__ void __launch_bounds__(CARRY_THREADS, CARRY_FITTING) scan_backward_carry(const __grid_constant__ Params p) {
  carry_scan<true>(p);
}
extern "C" __global__ void scan_backward_join(const __grid_constant__ Params p) { join_segments<true>(p); }

// The partial sums in order: of dB and dC over the blocks of channels, of dA, dD and dbias over the pieces of all
// sequences. One thread has four neighbouring values.
__device__ __forceinline__ float4 sum_in_order(const float *from, i64 stride, int count) {
  float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 8
  for (int i = 0; i < count; i++) {
    const float4 f = *reinterpret_cast<const float4 *>(from + i * stride);
    sum.x += f.x; sum.y += f.y; sum.z += f.z; sum.w += f.w;
  }
  return sum;
}
extern "C" __global__ void scan_sums(const __grid_constant__ Params p) {
  const i64 rows = (i64)p.batch * p.length, size = (i64)p.channels * N;
  const int pieces = p.batch * p.segments;
  i64 i = 4 * ((i64)blockIdx.x * blockDim.x + threadIdx.x);
  if (i < rows * 2 * N) {
    const float4 sum = sum_in_order(p.dBC + i, rows * 2 * N, p.blocks);
    const i64 row = i / (2 * N);
    const int column = (int)(i % (2 * N)), sequence = (int)(row / p.length), t = (int)(row % p.length);
    float v[4] = {sum.x, sum.y, sum.z, sum.w};
    store<4>(column < N ? row_of(p.dB, p.dB_stride, sequence, t, column) : row_of(p.dC, p.dC_stride, sequence, t, column - N), v);
  } else if ((i -= rows * 2 * N) < size) {
    *reinterpret_cast<float4 *>(p.dA_sum + i) = sum_in_order(p.dA + i, size, pieces);
  } else if ((i -= size) < 2 * p.channels) {
    *reinterpret_cast<float4 *>((i < p.channels ? p.dD_sum : p.dbias_sum - p.channels) + i) =
        sum_in_order(p.dvectors + i, 2 * p.channels, pieces);
  }
}
"""
