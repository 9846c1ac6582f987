"""CUDA C++ that the forward and the backward of the selective scan share, and how the work is divided.

One warp owns a few neighbouring channels of one sequence and walks its time. A lane holds ``ST`` = 4 of the states of
``CH`` channels in registers, as a register tile of a matrix product does: B and C are read once for all CH channels, step
sizes and inputs once for all 4 states, and each sum (over states for y, over channels for dB and dC) has little left to
do between lanes. Scalars (softplus, gate, skip) of a tile of 4 steps are computed once, spread over the lanes.

Where batch x channels does not fill the device, sequences are cut into segments that run at the same time: one kernel
finds what each segment does to the state, one joins them, and then all run with the right initial states
(``scan_carry``).

A reset adds minus infinity to the exponent of the decay of its step, which is then exactly 0.
"""

SOURCE = r"""
// T steps are a tile, the state before which is saved; K steps are a chunk; a lane has ST states.
constexpr int N = D_STATE, CH = LANE_CHANNELS, W = WARPS;
constexpr int T = 4, K = CHUNK, ST = 4, GROUP = T * CH;
constexpr int G = N / ST, CG = 32 / G, WARP_CHANNELS = CG * CH, BLOCK_CHANNELS = WARP_CHANNELS * W;
// Per tile and group of G lanes there are T x CH scalars (step size, output ...): each lane owns OS steps x OC channels.
constexpr int OS = G == 2 ? 2 : 1, OC = G == 8 ? CH / 2 : CH;
constexpr u32 ALL = 0xffffffffu;

struct Params {
  const element *u, *delta, *B, *C, *z, *dy;
  const float *A, *D, *bias;
  const u8 *resets;
  const float *start;      // [batch, segments, channels, N] or null: zeros
  element *states;         // [batch, tiles, channels * N], before each tile, or null; those of a lane are together
  float *last;             // [batch, channels, N]
  float *alone, *decay;    // [batch, segments, channels, N]: what a segment adds to the state, or to its gradient, and
                           // the decay over it
  float *joined;           // [batch, segments, channels, N]: the state before each, or its gradient after each
  element *y, *ungated;     // [batch, length, channels]: the output, and what the gate multiplies; or null
  element *du, *ddelta, *dz;
  float *dlast;            // [batch, segments, channels, N] or null: zeros
  float *dstart;           // [batch, channels, N] or null
  float *dA, *dA_sum;      // [batch * segments, channels, N], [channels, N]
  float *dvectors;         // [batch * segments, 2, channels]: dD, dbias
  float *dD_sum, *dbias_sum;
  float *dBC;              // [channel blocks, batch, length, 2 N]
  element *dB, *dC;        // [batch, length, N]
  Rows u_stride, delta_stride, B_stride, C_stride, z_stride, dy_stride, dz_stride, dB_stride, dC_stride;
  int batch, length, channels, segments, segment_length, tiles, blocks;
};

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
template <int n> __device__ __forceinline__ void read_shared(const float *p, float (&v)[n]) {
  static_assert(n % 4 == 0, "");
#pragma unroll
  for (int i = 0; i < n / 4; i++) {
    float4 f = reinterpret_cast<const float4 *>(p)[i];
    v[4 * i] = f.x; v[4 * i + 1] = f.y; v[4 * i + 2] = f.z; v[4 * i + 3] = f.w;
  }
}
template <int n> __device__ __forceinline__ void read_some(const float *p, float (&v)[n]) {
  if constexpr (n == 2) { float2 f = *reinterpret_cast<const float2 *>(p); v[0] = f.x; v[1] = f.y; }
  else read_shared<n>(p, v);
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

__device__ __forceinline__ void load_quad(const float *p, float (&v)[ST], float scale) {
  float4 f = *reinterpret_cast<const float4 *>(p);
  v[0] = f.x * scale; v[1] = f.y * scale; v[2] = f.z * scale; v[3] = f.w * scale;
}
__device__ __forceinline__ void store_quad(float *p, const float (&v)[ST]) {
  *reinterpret_cast<float4 *>(p) = make_float4(v[0], v[1], v[2], v[3]);
}
// exp(s A), 0 at a reset, where `off` is minus infinity.
__device__ __forceinline__ float decay(float s, float A2, float off) {
  return exp2_fast(HAS_RESETS ? fmaf(s, A2, off) : s * A2);
}
// Hold a value in a register instead of computing it again in every tile.
__device__ __forceinline__ void keep(int &value) { asm volatile("" : "+r"(value)); }

// Where a lane stands.
struct Lane {
  int warp, lane, c, g;      // group and lane of the group: channels and states
  int group_channel;         // first of the CH channels whose states it holds
  int own_channel;           // first of the OC channels whose scalars it owns
  int own_step;              // first of its OS steps in a tile
  int own_slot;              // own_channel - group_channel
  int warp_channel;          // first channel of the warp
  bool live;
  __device__ __forceinline__ Lane(int channels) {
    warp = threadIdx.x / 32; lane = threadIdx.x % 32; c = lane / G; g = lane % G;
    warp_channel = blockIdx.x * BLOCK_CHANNELS + warp * WARP_CHANNELS;
    live = warp_channel + c * CH < channels;
    group_channel = live ? warp_channel + c * CH : 0;
    own_slot = G == 8 ? (g >> 2) * OC : 0;
    own_channel = group_channel + own_slot;
    own_step = G == 2 ? 2 * (g & 1) : (g & 3);
  }
  // Where this lane's states are among those saved at one time.
  __device__ __forceinline__ i64 saved_at() const { return (i64)group_channel * N + g * (CH * ST); }
};
"""
