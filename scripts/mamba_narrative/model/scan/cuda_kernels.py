"""CUDA C++ source of the selective scan; compiled by ``cuda_runtime``, launched by ``cuda``.

One warp owns a few neighbouring channels of one sequence and walks its time. A lane holds ``ST`` = 4 of the states of
``CH`` channels in registers, as a register tile of a matrix product does: B and C are read once for all CH channels, step
sizes and inputs once for all 4 states, and each sum (over states for y, over channels for dB and dC) has little left to
do between lanes. Scalars (softplus, gate, skip) of a tile of 4 steps are computed once, spread over the lanes.

The forward saves the state every 32 steps. The backward recomputes from there: a first pass keeps the state every 4
steps in shared memory, the second goes through these tiles in reverse. dB and dC are summed over the channels of a block
in a fixed order and written as one partial sum a block; the kernel that adds those keeps the order, so two runs are equal
to the bit. Where batch x channels does not fill the device, sequences are cut into segments that run at the same time:
one kernel finds what each segment does to the state, one joins them, and then all run with the right initial states.

A reset adds minus infinity to the exponent of the decay of its step, which is then exactly 0.
"""

SOURCE = r"""
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;
typedef long long i64;

// T steps are a tile, kept in registers; K steps are a chunk, between two saved states; a lane has ST states.
constexpr int N = D_STATE, CH = LANE_CHANNELS, W = WARPS;
constexpr int T = 4, K = 32, ST = 4, TILES = K / T;
constexpr int G = N / ST, CG = 32 / G, WARP_CHANNELS = CG * CH, BLOCK_CHANNELS = WARP_CHANNELS * W;
// Per tile and group of G lanes there are T x CH scalars (step size, output ...): each lane owns OS steps x OC channels.
constexpr int OS = G == 2 ? 2 : 1, OC = G == 8 ? CH / 2 : CH;
constexpr float LOG2E = 1.4426950408889634f, LN2 = 0.6931471805599453f;
constexpr u32 ALL = 0xffffffffu;

#if BF16
typedef u16 element;
#else
typedef float element;
#endif

struct Rows { i64 batch, row; };  // strides in elements

struct Params {
  const element *u, *delta, *B, *C, *z, *dy;
  const float *A, *D, *bias;
  const u8 *resets;
  const float *start;      // [batch, segments, channels, N] or null: zeros
  float *states;           // [batch, chunks, channels, N], before each chunk, or null
  float *last;             // forward: [batch, channels, N]; carry: [batch, segments, channels, N]
  float *decay;            // carry: [batch, segments, channels, N]
  element *y, *du, *ddelta, *dz;
  float *dlast;            // [batch, segments, channels, N] or null: zeros
  float *dstart;           // [batch, channels, N] or null; carry: [batch, segments, channels, N]
  float *dA;               // [batch * segments, channels, N]
  float *dvectors;         // [batch * segments, 2, channels]: dD, dbias
  float *dBC;              // [channel blocks, batch, length, 2 N]
  element *dB, *dC;        // [batch, length, N]
  Rows u_stride, delta_stride, B_stride, C_stride, z_stride, dy_stride;
  int batch, length, channels, segments, segment_length, chunks, blocks;
};

__device__ __forceinline__ float exp2_fast(float x) { float r; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
__device__ __forceinline__ float reciprocal(float x) { float r; asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
__device__ __forceinline__ float minus_infinity() { return __uint_as_float(0xff800000u); }

// log(1 + exp(x)); e = exp(-|x|). The polynomial is log1p(e) / e on [0, 1], relative error below 2e-7.
__device__ __forceinline__ float softplus_of(float x, float e) {
  float r = -3.256378463e-03f;
  r = fmaf(r, e, 1.990716159e-02f);
  r = fmaf(r, e, -5.706420168e-02f);
  r = fmaf(r, e, 1.061426476e-01f);
  r = fmaf(r, e, -1.531186253e-01f);
  r = fmaf(r, e, 1.967811733e-01f);
  r = fmaf(r, e, -2.495455891e-01f);
  r = fmaf(r, e, 3.333000541e-01f);
  r = fmaf(r, e, -4.999990463e-01f);
  r = fmaf(r, e, 1.0f);
  return fmaf(r, e, fmaxf(x, 0.0f));
}
__device__ __forceinline__ float step_size(float x) {
#if SOFTPLUS
  return softplus_of(x, exp2_fast(-fabsf(x) * LOG2E));
#else
  return x;
#endif
}
__device__ __forceinline__ float sigmoid(float x) {
  float e = exp2_fast(-fabsf(x) * LOG2E), r = reciprocal(1.0f + e);
  return x >= 0.0f ? r : e * r;
}

// `n` neighbouring elements as loaded, decoded only when they are used.
template <int n> struct Raw {
#if BF16
  u32 bits[n / 2];
  __device__ __forceinline__ void load(const element *p) {
    if constexpr (n == 2) bits[0] = *reinterpret_cast<const u32 *>(p);
    else { uint2 v = *reinterpret_cast<const uint2 *>(p); bits[0] = v.x; bits[1] = v.y; }
  }
  __device__ __forceinline__ void zero() { for (int i = 0; i < n / 2; i++) bits[i] = 0; }
  __device__ __forceinline__ float operator[](int i) const {
    return i % 2 ? __uint_as_float(bits[i / 2] & 0xffff0000u) : __uint_as_float(bits[i / 2] << 16);
  }
#else
  float bits[n];
  __device__ __forceinline__ void load(const element *p) {
    if constexpr (n == 2) { float2 v = *reinterpret_cast<const float2 *>(p); bits[0] = v.x; bits[1] = v.y; }
    else { float4 v = *reinterpret_cast<const float4 *>(p); bits[0] = v.x; bits[1] = v.y; bits[2] = v.z; bits[3] = v.w; }
  }
  __device__ __forceinline__ void zero() { for (int i = 0; i < n; i++) bits[i] = 0.0f; }
  __device__ __forceinline__ float operator[](int i) const { return bits[i]; }
#endif
};

#if BF16
__device__ __forceinline__ u32 pack(float low, float high) {
#if __CUDA_ARCH__ >= 800
  u32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low)); return r;
#else
  u32 a = __float_as_uint(low), b = __float_as_uint(high);
  a = low == low ? (a + 0x7fffu + ((a >> 16) & 1u)) >> 16 : 0x7fffu;
  b = high == high ? (b + 0x7fffu + ((b >> 16) & 1u)) >> 16 : 0x7fffu;
  return a | (b << 16);
#endif
}
#endif

template <int n> __device__ __forceinline__ void store(element *p, const float (&v)[n]) {
#if BF16
  if constexpr (n == 2) *reinterpret_cast<u32 *>(p) = pack(v[0], v[1]);
  else *reinterpret_cast<uint2 *>(p) = make_uint2(pack(v[0], v[1]), pack(v[2], v[3]));
#else
  if constexpr (n == 2) *reinterpret_cast<float2 *>(p) = make_float2(v[0], v[1]);
  else *reinterpret_cast<float4 *>(p) = make_float4(v[0], v[1], v[2], v[3]);
#endif
}

template <int n> __device__ __forceinline__ void read_shared(const float *p, float (&v)[n]) {
  static_assert(n % 4 == 0, "");
#pragma unroll
  for (int i = 0; i < n / 4; i++) {
    float4 f = reinterpret_cast<const float4 *>(p)[i];
    v[4 * i] = f.x; v[4 * i + 1] = f.y; v[4 * i + 2] = f.z; v[4 * i + 3] = f.w;
  }
}
template <int n> __device__ __forceinline__ void write_shared(float *p, const float (&v)[n]) {
  if constexpr (n == 2) *reinterpret_cast<float2 *>(p) = make_float2(v[0], v[1]);
  else *reinterpret_cast<float4 *>(p) = make_float4(v[0], v[1], v[2], v[3]);
}

// Of two partial values the lanes keep one each (by `upper`) and add the partner's part of it.
__device__ __forceinline__ float halve(float lower_value, float upper_value, bool upper, int mask) {
  float mine = upper ? upper_value : lower_value, other = upper ? lower_value : upper_value;
  return mine + __shfl_xor_sync(ALL, other, mask);
}
// Sum over the G lanes of a group; each lane gets what it owns.
__device__ __forceinline__ void sum_states(const float (&v)[T][CH], float (&own)[OS][OC], int g) {
  if constexpr (G == 2) {
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int c = 0; c < CH; c++) own[i][c] = halve(v[i][c], v[i + 2][c], g & 1, 1);
  } else {
    float w[T][OC];
    if constexpr (G == 8) {
#pragma unroll
      for (int t = 0; t < T; t++)
#pragma unroll
        for (int c = 0; c < OC; c++) w[t][c] = halve(v[t][c], v[t][c + OC], g & 4, 4);
    } else {
#pragma unroll
      for (int t = 0; t < T; t++)
#pragma unroll
        for (int c = 0; c < OC; c++) w[t][c] = v[t][c];
    }
#pragma unroll
    for (int c = 0; c < OC; c++) {
      float a = halve(w[0][c], w[1][c], g & 1, 1), b = halve(w[2][c], w[3][c], g & 1, 1);
      own[0][c] = halve(a, b, g & 2, 2);
    }
  }
}

// Where a lane stands.
struct Lane {
  int warp, lane, c, g;      // group and lane of the group: channels and states
  int group_channel;         // first of the CH channels whose states it holds
  int own_channel;           // first of the OC channels whose scalars it owns
  int own_step;              // first of its OS steps in a tile
  int own_slot;              // own_channel - group_channel
  bool live;
  __device__ __forceinline__ Lane(int channels) {
    warp = threadIdx.x / 32; lane = threadIdx.x % 32; c = lane / G; g = lane % G;
    int first = blockIdx.x * BLOCK_CHANNELS + warp * WARP_CHANNELS + c * CH;
    live = first < channels;
    group_channel = live ? first : 0;
    own_slot = G == 8 ? (g >> 2) * OC : 0;
    own_channel = group_channel + own_slot;
    own_step = G == 2 ? 2 * (g & 1) : (g & 3);
  }
};

// ---------------------------------------------------------------------------------------------------------------
// Forward. CARRY: only the state after each segment from a zero state, and the decay over it.
template <bool CARRY> __device__ __forceinline__ void forward_scan(const Params &p) {
  const Lane me(p.channels);
  const int segment = blockIdx.y, batch = blockIdx.z;
  const int begin = segment * p.segment_length, end = min(begin + p.segment_length, p.length);
  constexpr int GROUP = T * CH, BC_TILE = 2 * T * N, BC_LOADS = (BC_TILE / 4 + 31) / 32;
  __shared__ __align__(16) float shared[W][2][2 * CG * GROUP + BC_TILE];

  float A2[CH][ST], h[CH][ST];
  const i64 state_offset = ((i64)(batch * p.segments + segment) * p.channels + me.group_channel) * N + me.g * ST;
#pragma unroll
  for (int c = 0; c < CH; c++) {
    float4 a = *reinterpret_cast<const float4 *>(p.A + (i64)(me.group_channel + c) * N + me.g * ST);
    A2[c][0] = a.x * LOG2E; A2[c][1] = a.y * LOG2E; A2[c][2] = a.z * LOG2E; A2[c][3] = a.w * LOG2E;
    float4 s = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (!CARRY && p.start) s = *reinterpret_cast<const float4 *>(p.start + state_offset + c * N);
    h[c][0] = s.x; h[c][1] = s.y; h[c][2] = s.z; h[c][3] = s.w;
  }
  float bias[OC], D[OC], total[OS][OC];
#pragma unroll
  for (int j = 0; j < OC; j++) {
    bias[j] = p.bias ? p.bias[me.own_channel + j] : 0.0f;
    D[j] = p.D ? p.D[me.own_channel + j] : 0.0f;
    for (int i = 0; i < OS; i++) total[i][j] = 0.0f;
  }
  bool cut = false;

  const element *u = p.u + batch * p.u_stride.batch + me.own_channel;
  const element *delta = p.delta + batch * p.delta_stride.batch + me.own_channel;
  const element *z = p.z + batch * p.z_stride.batch + me.own_channel;
  element *y = p.y + (i64)batch * p.length * p.channels + me.own_channel;
  const element *B = p.B + batch * p.B_stride.batch, *C = p.C + batch * p.C_stride.batch;

  Raw<OC> next_u[OS], next_delta[OS], next_z[OS];
  Raw<4> next_bc[BC_LOADS];
  auto fetch = [&](int t0) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      int t = t0 + me.own_step + i;
      next_u[i].zero(); next_delta[i].zero(); next_z[i].zero();
      if (t < end) {
        next_u[i].load(u + t * p.u_stride.row);
        next_delta[i].load(delta + t * p.delta_stride.row);
        if (HAS_Z && !CARRY) next_z[i].load(z + t * p.z_stride.row);
      }
    }
#pragma unroll
    for (int k = 0; k < BC_LOADS; k++) {
      int i = me.lane + 32 * k, row = i / (N / 4), t = t0 + row % T, column = i % (N / 4) * 4;
      next_bc[k].zero();
      if (row < (CARRY ? 1 : 2) * T && t < end)
        next_bc[k].load(row < T ? B + t * p.B_stride.row + column : C + t * p.C_stride.row + column);
    }
  };
  fetch(begin);

  const u8 *flags = p.resets + (i64)batch * p.length;
  bool next_reset = HAS_RESETS && begin + me.lane < end && flags[begin + me.lane];
  for (int t0 = begin, buffer = 0; t0 < end;) {
    u32 resets = 0;
    if (HAS_RESETS) {
      resets = __ballot_sync(ALL, next_reset);
      next_reset = t0 + K + me.lane < end && flags[t0 + K + me.lane];
      if (CARRY) cut |= resets != 0;
    }
    if (!CARRY && p.states && me.live) {
      float *s = p.states + ((i64)(batch * p.chunks + t0 / K) * p.channels + me.group_channel) * N + me.g * ST;
#pragma unroll
      for (int c = 0; c < CH; c++) *reinterpret_cast<float4 *>(s + c * N) = make_float4(h[c][0], h[c][1], h[c][2], h[c][3]);
    }
    const int chunk_end = min(t0 + K, end);
    for (; t0 < chunk_end; t0 += T, buffer ^= 1, resets >>= T) {
      float *S = shared[me.warp][buffer], *X = S + CG * GROUP, *BC = X + CG * GROUP;
      Raw<OC> now_z[OS];
      float u_own[OS][OC];
#pragma unroll
      for (int i = 0; i < OS; i++) {
        bool inside = t0 + me.own_step + i < end;
        float s[OC], x[OC];
#pragma unroll
        for (int j = 0; j < OC; j++) {
          u_own[i][j] = next_u[i][j];
          s[j] = inside ? step_size(next_delta[i][j] + bias[j]) : 0.0f;
          x[j] = s[j] * u_own[i][j];
          if (CARRY) total[i][j] += s[j];
        }
        now_z[i] = next_z[i];
        int slot = me.c * GROUP + (me.own_step + i) * CH + me.own_slot;
        write_shared<OC>(S + slot, s);
        write_shared<OC>(X + slot, x);
      }
#pragma unroll
      for (int k = 0; k < BC_LOADS; k++) {
        int i = me.lane + 32 * k;
        if (i < BC_TILE / 4)
          reinterpret_cast<float4 *>(BC)[i] = make_float4(next_bc[k][0], next_bc[k][1], next_bc[k][2], next_bc[k][3]);
      }
      __syncwarp();
      fetch(t0 + T);

      float step[T * CH], input[T * CH], out[T][CH];
      read_shared<T * CH>(S + me.c * GROUP, step);
      read_shared<T * CH>(X + me.c * GROUP, input);
#pragma unroll
      for (int t = 0; t < T; t++) {
        float b[ST], cc[ST];
        read_shared<ST>(BC + t * N + me.g * ST, b);
        if (!CARRY) read_shared<ST>(BC + (T + t) * N + me.g * ST, cc);
        const float off = HAS_RESETS && (resets >> t & 1) ? minus_infinity() : 0.0f;
#pragma unroll
        for (int c = 0; c < CH; c++) {
          float sum = 0.0f;
#pragma unroll
          for (int i = 0; i < ST; i++) {
            float decay = exp2_fast(HAS_RESETS ? fmaf(step[t * CH + c], A2[c][i], off) : step[t * CH + c] * A2[c][i]);
            h[c][i] = fmaf(decay, h[c][i], input[t * CH + c] * b[i]);
            if (!CARRY) sum = fmaf(h[c][i], cc[i], sum);
          }
          out[t][c] = sum;
        }
      }
      if (!CARRY) {
        float own[OS][OC];
        sum_states(out, own, me.g);
#pragma unroll
        for (int i = 0; i < OS; i++) {
          int t = t0 + me.own_step + i;
          float r[OC];
#pragma unroll
          for (int j = 0; j < OC; j++) {
            r[j] = fmaf(D[j], u_own[i][j], own[i][j]);
            if (HAS_Z) { float v = now_z[i][j]; r[j] *= v * sigmoid(v); }
          }
          if (t < end && me.live) store<OC>(y + (i64)t * p.channels, r);
        }
      }
    }
  }
  if (CARRY) {
    // The decay over the segment is that of the summed step sizes: exchanged through shared memory.
    float *S = shared[me.warp][0];
    __syncwarp();
#pragma unroll
    for (int j = 0; j < OC; j++) {
      float sum = 0.0f;
#pragma unroll
      for (int i = 0; i < OS; i++) sum += total[i][j];
      sum += __shfl_xor_sync(ALL, sum, 1);
      if (G >= 4) sum += __shfl_xor_sync(ALL, sum, 2);
      S[me.c * CH + me.own_slot + j] = sum;
    }
    __syncwarp();
#pragma unroll
    for (int c = 0; c < CH; c++) {
      float sum = S[me.c * CH + c], d[ST];
#pragma unroll
      for (int i = 0; i < ST; i++) d[i] = cut ? 0.0f : exp2_fast(sum * A2[c][i]);
      if (me.live) *reinterpret_cast<float4 *>(p.decay + state_offset + c * N) = make_float4(d[0], d[1], d[2], d[3]);
    }
  }
  if (me.live && (CARRY || segment == p.segments - 1)) {
    float *last = p.last + (CARRY ? state_offset : ((i64)batch * p.channels + me.group_channel) * N + me.g * ST);
#pragma unroll
    for (int c = 0; c < CH; c++) *reinterpret_cast<float4 *>(last + c * N) = make_float4(h[c][0], h[c][1], h[c][2], h[c][3]);
  }
}

// ---------------------------------------------------------------------------------------------------------------
// Gradient of the state before each segment from the outputs of the segment alone.
__device__ __forceinline__ void backward_carry(const Params &p) {
  const Lane me(p.channels);
  const int segment = blockIdx.y, batch = blockIdx.z;
  const int begin = segment * p.segment_length, end = min(begin + p.segment_length, p.length);
  constexpr int GROUP = T * CH, C_TILE = T * N, C_LOADS = (C_TILE / 4 + 31) / 32;
  __shared__ __align__(16) float shared[W][2][2 * CG * GROUP + C_TILE];
  float A2[CH][ST], dh[CH][ST], bias[OC];
  const i64 state_offset = ((i64)(batch * p.segments + segment) * p.channels + me.group_channel) * N + me.g * ST;
#pragma unroll
  for (int c = 0; c < CH; c++) {
    float4 a = *reinterpret_cast<const float4 *>(p.A + (i64)(me.group_channel + c) * N + me.g * ST);
    A2[c][0] = a.x * LOG2E; A2[c][1] = a.y * LOG2E; A2[c][2] = a.z * LOG2E; A2[c][3] = a.w * LOG2E;
    dh[c][0] = dh[c][1] = dh[c][2] = dh[c][3] = 0.0f;
  }
#pragma unroll
  for (int j = 0; j < OC; j++) bias[j] = p.bias ? p.bias[me.own_channel + j] : 0.0f;
  const element *delta = p.delta + batch * p.delta_stride.batch + me.own_channel;
  const element *z = p.z + batch * p.z_stride.batch + me.own_channel;
  const element *dy = p.dy + batch * p.dy_stride.batch + me.own_channel;
  const element *C = p.C + batch * p.C_stride.batch;

  Raw<OC> next_delta[OS], next_z[OS], next_dy[OS];
  Raw<4> next_c[C_LOADS];
  auto fetch = [&](int t0) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      int t = t0 + me.own_step + i;
      next_delta[i].zero(); next_z[i].zero(); next_dy[i].zero();
      if (t0 >= begin && t < end) {
        next_delta[i].load(delta + t * p.delta_stride.row);
        next_dy[i].load(dy + t * p.dy_stride.row);
        if (HAS_Z) next_z[i].load(z + t * p.z_stride.row);
      }
    }
#pragma unroll
    for (int k = 0; k < C_LOADS; k++) {
      int i = me.lane + 32 * k, row = i / (N / 4), t = t0 + row;
      next_c[k].zero();
      if (row < T && t0 >= begin && t < end) next_c[k].load(C + t * p.C_stride.row + i % (N / 4) * 4);
    }
  };
  int t0 = begin + (end - begin - 1) / T * T;
  fetch(t0);
  u32 resets = 0;
  if (HAS_RESETS) {
    int first = begin + (t0 - begin) / K * K, t = first + me.lane;
    resets = __ballot_sync(ALL, t < end && p.resets[(i64)batch * p.length + t]);
  }
  for (int buffer = 0; t0 >= begin; t0 -= T, buffer ^= 1) {
    float *S = shared[me.warp][buffer], *X = S + CG * GROUP, *CC = X + CG * GROUP;
#pragma unroll
    for (int i = 0; i < OS; i++) {
      bool inside = t0 + me.own_step + i < end;
      float s[OC], x[OC];
#pragma unroll
      for (int j = 0; j < OC; j++) {
        s[j] = inside ? step_size(next_delta[i][j] + bias[j]) : 0.0f;
        x[j] = next_dy[i][j];
        if (HAS_Z) { float v = next_z[i][j]; x[j] *= v * sigmoid(v); }
      }
      int slot = me.c * GROUP + (me.own_step + i) * CH + me.own_slot;
      write_shared<OC>(S + slot, s);
      write_shared<OC>(X + slot, x);
    }
#pragma unroll
    for (int k = 0; k < C_LOADS; k++) {
      int i = me.lane + 32 * k;
      if (i < C_TILE / 4) reinterpret_cast<float4 *>(CC)[i] = make_float4(next_c[k][0], next_c[k][1], next_c[k][2], next_c[k][3]);
    }
    __syncwarp();
    fetch(t0 - T);
    const int in_chunk = (t0 - begin) % K;
    float step[T * CH], grad[T * CH];
    read_shared<T * CH>(S + me.c * GROUP, step);
    read_shared<T * CH>(X + me.c * GROUP, grad);
#pragma unroll
    for (int t = T - 1; t >= 0; t--) {
      float cc[ST];
      read_shared<ST>(CC + t * N + me.g * ST, cc);
      const float off = HAS_RESETS && (resets >> (in_chunk + t) & 1) ? minus_infinity() : 0.0f;
#pragma unroll
      for (int c = 0; c < CH; c++)
#pragma unroll
        for (int i = 0; i < ST; i++) {
          float decay = exp2_fast(HAS_RESETS ? fmaf(step[t * CH + c], A2[c][i], off) : step[t * CH + c] * A2[c][i]);
          dh[c][i] = decay * fmaf(cc[i], grad[t * CH + c], dh[c][i]);
        }
    }
    if (HAS_RESETS && in_chunk == 0 && t0 > begin)
      resets = __ballot_sync(ALL, p.resets[(i64)batch * p.length + t0 - K + me.lane]);
  }
  if (me.live) {
#pragma unroll
    for (int c = 0; c < CH; c++)
      *reinterpret_cast<float4 *>(p.dstart + state_offset + c * N) = make_float4(dh[c][0], dh[c][1], dh[c][2], dh[c][3]);
  }
}

// ---------------------------------------------------------------------------------------------------------------
// Lanes of neighbouring groups hold the states of a quad in an order that differs by XOR, so that the first two steps
// of the sum over channels need no selection: slot i of a lane is state i ^ order.
__device__ __forceinline__ void reorder(float (&v)[ST], int order) {
  bool two = order & 2, one = order & 1;
  float a = two ? v[2] : v[0], b = two ? v[3] : v[1], c = two ? v[0] : v[2], d = two ? v[1] : v[3];
  v[0] = one ? b : a; v[1] = one ? a : b; v[2] = one ? d : c; v[3] = one ? c : d;
}

constexpr int GROUP = T * CH;
constexpr int VERSION = 2 * K * N + 8;                       // B and C of a chunk in one of four orders; 8: other banks
constexpr int WARP_STATES = TILES * 32 * CH * ST, WARP_SCALARS = 2 * TILES * CG * GROUP, WARP_GRADS = 2 * CG * GROUP;
constexpr int WARP_FLOATS = WARP_STATES + WARP_SCALARS + WARP_GRADS;
constexpr int BACKWARD_SHARED = 4 * VERSION + W * WARP_FLOATS;

__device__ __forceinline__ void backward_scan(const Params &p) {
  const Lane me(p.channels);
  const int segment = blockIdx.y, batch = blockIdx.z;
  const int begin = segment * p.segment_length, end = min(begin + p.segment_length, p.length);
  const int order = (me.c & 1) << 1 | (me.c >> 1 & 1);
  extern __shared__ __align__(16) float dynamic[];
  float *BC = dynamic, *warp_states = dynamic + 4 * VERSION + me.warp * WARP_FLOATS;
  float *S = warp_states + WARP_STATES, *X = S + TILES * CG * GROUP, *GR = X + TILES * CG * GROUP;
  const float *my_BC = BC + order * VERSION + me.g * ST;

  float A2[CH][ST], dA[CH][ST], carry[CH][ST];
  const i64 segment_offset = ((i64)(batch * p.segments + segment) * p.channels + me.group_channel) * N + me.g * ST;
#pragma unroll
  for (int c = 0; c < CH; c++) {
    float4 a = *reinterpret_cast<const float4 *>(p.A + (i64)(me.group_channel + c) * N + me.g * ST);
    A2[c][0] = a.x * LOG2E; A2[c][1] = a.y * LOG2E; A2[c][2] = a.z * LOG2E; A2[c][3] = a.w * LOG2E;
    float4 s = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (p.dlast && me.live) s = *reinterpret_cast<const float4 *>(p.dlast + segment_offset + c * N);
    carry[c][0] = s.x; carry[c][1] = s.y; carry[c][2] = s.z; carry[c][3] = s.w;
    dA[c][0] = dA[c][1] = dA[c][2] = dA[c][3] = 0.0f;
    reorder(A2[c], order);
    reorder(carry[c], order);
  }
  float bias[OC], D[OC], dbias[OC], dD[OC];
#pragma unroll
  for (int j = 0; j < OC; j++) {
    bias[j] = p.bias ? p.bias[me.own_channel + j] : 0.0f;
    D[j] = p.D ? p.D[me.own_channel + j] : 0.0f;
    dbias[j] = dD[j] = 0.0f;
  }
  const element *u = p.u + batch * p.u_stride.batch + me.own_channel;
  const element *delta = p.delta + batch * p.delta_stride.batch + me.own_channel;
  const element *z = p.z + batch * p.z_stride.batch + me.own_channel;
  const element *dy = p.dy + batch * p.dy_stride.batch + me.own_channel;
  const i64 out_offset = (i64)batch * p.length * p.channels + me.own_channel;
  const element *B = p.B + batch * p.B_stride.batch, *C = p.C + batch * p.C_stride.batch;

  constexpr int BC_CHUNK = 2 * K * N / 4, BC_LOADS = (BC_CHUNK + 32 * W - 1) / (32 * W);
  Raw<4> next_bc[BC_LOADS];
  auto fetch_bc = [&](int t0) {
#pragma unroll
    for (int k = 0; k < BC_LOADS; k++) {
      int i = threadIdx.x + 32 * W * k, row = i / (N / 4), t = t0 + row % K, column = i % (N / 4) * 4;
      next_bc[k].zero();
      if (i < BC_CHUNK && t < end)
        next_bc[k].load(row < K ? B + t * p.B_stride.row + column : C + t * p.C_stride.row + column);
    }
  };
  Raw<OC> next_u[OS], next_delta[OS], next_z[OS], next_dy[OS];
  auto fetch_inputs = [&](int t0) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      int t = t0 + me.own_step + i;
      next_u[i].zero(); next_delta[i].zero();
      if (t < end) {
        next_u[i].load(u + t * p.u_stride.row);
        next_delta[i].load(delta + t * p.delta_stride.row);
      }
    }
  };
  auto fetch_gradients = [&](int t0) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      int t = t0 + me.own_step + i;
      next_z[i].zero(); next_dy[i].zero();
      if (t < end) {
        next_dy[i].load(dy + t * p.dy_stride.row);
        if (HAS_Z) next_z[i].load(z + t * p.z_stride.row);
      }
    }
  };

  int t0 = begin + (end - begin - 1) / K * K;
  fetch_bc(t0);
  const u8 *flags = p.resets + (i64)batch * p.length;
  bool next_reset = HAS_RESETS && t0 + me.lane < end && flags[t0 + me.lane];
  for (; t0 >= begin; t0 -= K) {
#pragma unroll
    for (int k = 0; k < BC_LOADS; k++) {
      int i = threadIdx.x + 32 * W * k;
      float v[4] = {next_bc[k][0], next_bc[k][1], next_bc[k][2], next_bc[k][3]};
      if (i < BC_CHUNK) {
        reinterpret_cast<float4 *>(BC)[i] = make_float4(v[0], v[1], v[2], v[3]);
        reinterpret_cast<float4 *>(BC + VERSION)[i] = make_float4(v[1], v[0], v[3], v[2]);
        reinterpret_cast<float4 *>(BC + 2 * VERSION)[i] = make_float4(v[2], v[3], v[0], v[1]);
        reinterpret_cast<float4 *>(BC + 3 * VERSION)[i] = make_float4(v[3], v[2], v[1], v[0]);
      }
    }
    fetch_inputs(t0);
    float h[CH][ST];
    {
      const float *s = p.states + ((i64)(batch * p.chunks + t0 / K) * p.channels + me.group_channel) * N + me.g * ST;
#pragma unroll
      for (int c = 0; c < CH; c++) {
        float4 f = *reinterpret_cast<const float4 *>(s + c * N);
        h[c][0] = f.x; h[c][1] = f.y; h[c][2] = f.z; h[c][3] = f.w;
        reorder(h[c], order);
      }
    }
    u32 resets = 0;
    if (HAS_RESETS) resets = __ballot_sync(ALL, next_reset);
    __syncthreads();
    if (t0 > begin) {
      fetch_bc(t0 - K);
      if (HAS_RESETS) next_reset = flags[t0 - K + me.lane];
      const float *s = p.states + ((i64)(batch * p.chunks + t0 / K - 1) * p.channels + me.group_channel) * N + me.g * ST;
#pragma unroll
      for (int c = 0; c < CH; c++) asm volatile("prefetch.global.L2 [%0];" ::"l"(s + c * N));
    }

    // First pass: the state before each tile.
    const int tiles = (min(K, end - t0) + T - 1) / T;
#pragma unroll 1
    for (int tile = 0; tile < tiles; tile++) {
      const int now = t0 + tile * T;
#pragma unroll
      for (int i = 0; i < OS; i++) {
        bool inside = now + me.own_step + i < end && me.live;
        float s[OC], x[OC];
#pragma unroll
        for (int j = 0; j < OC; j++) {
          s[j] = inside ? step_size(next_delta[i][j] + bias[j]) : 0.0f;
          x[j] = s[j] * next_u[i][j];
        }
        int slot = (tile * CG + me.c) * GROUP + (me.own_step + i) * CH + me.own_slot;
        write_shared<OC>(S + slot, s);
        write_shared<OC>(X + slot, x);
      }
      float4 *saved = reinterpret_cast<float4 *>(warp_states) + tile * CH * 32 + me.lane;
#pragma unroll
      for (int c = 0; c < CH; c++) saved[c * 32] = make_float4(h[c][0], h[c][1], h[c][2], h[c][3]);
      __syncwarp();
      if (tile == tiles - 1) break;
      fetch_inputs(now + T);
      float step[T * CH], input[T * CH];
      read_shared<T * CH>(S + (tile * CG + me.c) * GROUP, step);
      read_shared<T * CH>(X + (tile * CG + me.c) * GROUP, input);
#pragma unroll
      for (int t = 0; t < T; t++) {
        float b[ST];
        read_shared<ST>(my_BC + (tile * T + t) * N, b);
        const float off = HAS_RESETS && (resets >> (tile * T + t) & 1) ? minus_infinity() : 0.0f;
#pragma unroll
        for (int c = 0; c < CH; c++)
#pragma unroll
          for (int i = 0; i < ST; i++) {
            float decay = exp2_fast(HAS_RESETS ? fmaf(step[t * CH + c], A2[c][i], off) : step[t * CH + c] * A2[c][i]);
            h[c][i] = fmaf(decay, h[c][i], input[t * CH + c] * b[i]);
          }
      }
    }

    // Second pass: tiles in reverse. `next_u` and `next_delta` are those of the last tile.
    fetch_gradients(t0 + (tiles - 1) * T);
#pragma unroll 1
    for (int tile = tiles - 1; tile >= 0; tile--) {
      const int now = t0 + tile * T;
      float *G_tile = GR + (tile & 1) * CG * GROUP;
      float gate[OS][OC], gate_slope[OS][OC], dy_own[OS][OC], u_own[OS][OC], x_delta[OS][OC];
#pragma unroll
      for (int i = 0; i < OS; i++) {
        float gy[OC];
#pragma unroll
        for (int j = 0; j < OC; j++) {
          float d = me.live ? next_dy[i][j] : 0.0f;
          gy[j] = d;
          if (HAS_Z) {
            float v = next_z[i][j], sg = sigmoid(v);
            gate[i][j] = v * sg;
            gate_slope[i][j] = d * fmaf(gate[i][j], 1.0f - sg, sg);  // silu'(v) = sg + v sg (1 - sg)
            gy[j] = d * gate[i][j];
          }
          dy_own[i][j] = gy[j];
          u_own[i][j] = next_u[i][j];
          x_delta[i][j] = next_delta[i][j] + bias[j];
        }
        write_shared<OC>(G_tile + me.c * GROUP + (me.own_step + i) * CH + me.own_slot, gy);
      }
      __syncwarp();
      if (tile > 0) { fetch_gradients(now - T); fetch_inputs(now - T); }

      float a[T][CH][ST], hs[T + 1][CH][ST];
      const float4 *saved = reinterpret_cast<const float4 *>(warp_states) + tile * CH * 32 + me.lane;
#pragma unroll
      for (int c = 0; c < CH; c++) {
        float4 f = saved[c * 32];
        hs[0][c][0] = f.x; hs[0][c][1] = f.y; hs[0][c][2] = f.z; hs[0][c][3] = f.w;
      }
      float step[T * CH], input[T * CH], gy[T * CH];
      read_shared<T * CH>(S + (tile * CG + me.c) * GROUP, step);
      read_shared<T * CH>(X + (tile * CG + me.c) * GROUP, input);
      read_shared<T * CH>(G_tile + me.c * GROUP, gy);
#pragma unroll
      for (int t = 0; t < T; t++) {
        float b[ST];
        read_shared<ST>(my_BC + (tile * T + t) * N, b);
        const float off = HAS_RESETS && (resets >> (tile * T + t) & 1) ? minus_infinity() : 0.0f;
#pragma unroll
        for (int c = 0; c < CH; c++)
#pragma unroll
          for (int i = 0; i < ST; i++) {
            a[t][c][i] = exp2_fast(HAS_RESETS ? fmaf(step[t * CH + c], A2[c][i], off) : step[t * CH + c] * A2[c][i]);
            hs[t + 1][c][i] = fmaf(a[t][c][i], hs[t][c][i], input[t * CH + c] * b[i]);
          }
      }
      float y[T][CH], ds[T][CH], dx[T][CH], sums[T][2];
      __syncwarp();
#pragma unroll
      for (int t = T - 1; t >= 0; t--) {
        float b[ST], cc[ST], db[ST], dc[ST];
        read_shared<ST>(my_BC + (tile * T + t) * N, b);
        read_shared<ST>(my_BC + (K + tile * T + t) * N, cc);
#pragma unroll
        for (int i = 0; i < ST; i++) db[i] = dc[i] = 0.0f;
#pragma unroll
        for (int c = 0; c < CH; c++) {
          float ysum = 0.0f, dssum = 0.0f, dxsum = 0.0f;
#pragma unroll
          for (int i = 0; i < ST; i++) {
            float d = fmaf(cc[i], gy[t * CH + c], carry[c][i]);
            dc[i] = fmaf(hs[t + 1][c][i], gy[t * CH + c], dc[i]);
            if (HAS_Z) ysum = fmaf(cc[i], hs[t + 1][c][i], ysum);
            db[i] = fmaf(d, input[t * CH + c], db[i]);
            dxsum = fmaf(d, b[i], dxsum);
            d *= a[t][c][i];
            carry[c][i] = d;
            d *= hs[t][c][i];
            dssum = fmaf(d, A2[c][i], dssum);
            dA[c][i] = fmaf(d, step[t * CH + c], dA[c][i]);
          }
          y[t][c] = ysum; ds[t][c] = dssum; dx[t][c] = dxsum;
        }
        // Sum over the channels of the warp: two halvings that the order of states makes free of selections.
        float b0 = db[0] + __shfl_xor_sync(ALL, db[2], G), b1 = db[1] + __shfl_xor_sync(ALL, db[3], G);
        float c0 = dc[0] + __shfl_xor_sync(ALL, dc[2], G), c1 = dc[1] + __shfl_xor_sync(ALL, dc[3], G);
        sums[t][0] = b0 + __shfl_xor_sync(ALL, b1, 2 * G);
        sums[t][1] = c0 + __shfl_xor_sync(ALL, c1, 2 * G);
      }
      // The tile's saved states have been read: their place takes the sums, [2 N][T].
      float *tile_sums = warp_states + tile * CH * ST * 32;
      const int n = me.g * ST + order;
      if constexpr (CG == 4) {
        reinterpret_cast<float4 *>(tile_sums)[n] = make_float4(sums[0][0], sums[1][0], sums[2][0], sums[3][0]);
        reinterpret_cast<float4 *>(tile_sums)[N + n] = make_float4(sums[0][1], sums[1][1], sums[2][1], sums[3][1]);
      } else {
        float r[T];
        const int of_c = me.c >> 2 & 1;
#pragma unroll
        for (int t = 0; t < T; t++) r[t] = halve(sums[t][0], sums[t][1], of_c, 4 * G);
        if constexpr (CG == 8) reinterpret_cast<float4 *>(tile_sums)[of_c * N + n] = make_float4(r[0], r[1], r[2], r[3]);
        else {
          const int late = me.c >> 3 & 1;
          float r0 = halve(r[0], r[2], late, 8 * G), r1 = halve(r[1], r[3], late, 8 * G);
          reinterpret_cast<float2 *>(tile_sums)[(of_c * N + n) * 2 + late] = make_float2(r0, r1);
        }
      }
      float y_own[OS][OC], ds_own[OS][OC], dx_own[OS][OC];
      if (HAS_Z) sum_states(y, y_own, me.g);
      sum_states(ds, ds_own, me.g);
      sum_states(dx, dx_own, me.g);
#pragma unroll
      for (int i = 0; i < OS; i++) {
        const int t = now + me.own_step + i;
        float s[OC], out_u[OC], out_delta[OC], out_z[OC];
        const float *own_s = S + (tile * CG + me.c) * GROUP + (me.own_step + i) * CH + me.own_slot;
#pragma unroll
        for (int j = 0; j < OC; j++) {
          s[j] = own_s[j];
          float d = fmaf(u_own[i][j], dx_own[i][j], LN2 * ds_own[i][j]);
          if (SOFTPLUS) d *= sigmoid(x_delta[i][j]);
          out_delta[j] = d;
          out_u[j] = fmaf(s[j], dx_own[i][j], D[j] * dy_own[i][j]);
          if (HAS_Z) out_z[j] = gate_slope[i][j] * fmaf(D[j], u_own[i][j], y_own[i][j]);
          dbias[j] += t < end ? d : 0.0f;
          dD[j] = fmaf(dy_own[i][j], u_own[i][j], dD[j]);
        }
        if (t < end && me.live) {
          const i64 at = out_offset + (i64)t * p.channels;
          store<OC>(p.du + at, out_u);
          store<OC>(p.ddelta + at, out_delta);
          if (HAS_Z) store<OC>(p.dz + at, out_z);
        }
      }
    }
    __syncthreads();
    // Sum over the warps of the block, in order; one float4 is four steps of one column.
    constexpr int TILE_QUADS = 2 * N;
    for (int i = threadIdx.x; i < tiles * TILE_QUADS; i += 32 * W) {
      const int tile = i / TILE_QUADS, column = i % TILE_QUADS;
      float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
      for (int w = 0; w < W; w++) {
        float4 f = reinterpret_cast<const float4 *>(dynamic + 4 * VERSION + w * WARP_FLOATS + tile * CH * ST * 32)[column];
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
      float *out = p.dvectors + (i64)(batch * p.segments + segment) * 2 * p.channels + me.own_channel;
#pragma unroll
      for (int j = 0; j < OC; j++) { out[j] = dD[j]; out[p.channels + j] = dbias[j]; }
    }
#pragma unroll
    for (int c = 0; c < CH; c++) {
      reorder(dA[c], order);
      reorder(carry[c], order);
      *reinterpret_cast<float4 *>(p.dA + segment_offset + c * N) = make_float4(dA[c][0], dA[c][1], dA[c][2], dA[c][3]);
      if (segment == 0 && p.dstart)
        *reinterpret_cast<float4 *>(p.dstart + ((i64)batch * p.channels + me.group_channel + c) * N + me.g * ST) =
            make_float4(carry[c][0], carry[c][1], carry[c][2], carry[c][3]);
    }
  }
}

extern "C" {
#if BACKWARD
__global__ void __launch_bounds__(32 * W) scan_backward_carry(const __grid_constant__ Params p) { backward_carry(p); }
__global__ void __launch_bounds__(32 * W, MIN_BLOCKS) scan_backward(const __grid_constant__ Params p) { backward_scan(p); }
#else
__global__ void __launch_bounds__(32 * W, MIN_BLOCKS) scan_forward(const __grid_constant__ Params p) { forward_scan<false>(p); }
__global__ void __launch_bounds__(32 * W, MIN_BLOCKS) scan_forward_carry(const __grid_constant__ Params p) { forward_scan<true>(p); }
#endif

// States between segments, in order. `last` and `decay` of each segment alone; `states` gets those before each.
__global__ void scan_join_forward(const __grid_constant__ Params p) {
  const i64 size = (i64)p.channels * N, i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const i64 first = (i64)blockIdx.y * p.segments * size + i;
  float h = p.start ? p.start[blockIdx.y * size + i] : 0.0f;
#pragma unroll 4
  for (int s = 0; s < p.segments; s++) {
    p.states[first + s * size] = h;
    h = fmaf(p.decay[first + s * size], h, p.last[first + s * size]);
  }
}
// The same backwards: `dstart` of each segment alone; `states` gets the gradient of the state after each.
__global__ void scan_join_backward(const __grid_constant__ Params p) {
  const i64 size = (i64)p.channels * N, i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const i64 first = (i64)blockIdx.y * p.segments * size + i;
  float h = p.dlast ? p.dlast[blockIdx.y * size + i] : 0.0f;
#pragma unroll 4
  for (int s = p.segments - 1; s >= 0; s--) {
    p.states[first + s * size] = h;
    h = fmaf(p.decay[first + s * size], h, p.dstart[first + s * size]);
  }
}
// dB and dC: the blocks' partial sums in order.
__global__ void scan_sum_blocks(const __grid_constant__ Params p) {
  const i64 rows = (i64)p.batch * p.length, i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows * 2 * N / 4) return;
  float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 8
  for (int b = 0; b < p.blocks; b++) {
    float4 f = reinterpret_cast<const float4 *>(p.dBC)[b * rows * 2 * N / 4 + i];
    sum.x += f.x; sum.y += f.y; sum.z += f.z; sum.w += f.w;
  }
  const i64 row = i / (2 * N / 4);
  const int column = (int)(i % (2 * N / 4)) * 4;
  float v[4] = {sum.x, sum.y, sum.z, sum.w};
  store<4>((column < N ? p.dB + row * N + column : p.dC + row * N + column - N), v);
}
}
"""
