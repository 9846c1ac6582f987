"""CUDA C++ of what carries gradients back from segment to segment, where the backward scan is cut into segments."""

SOURCE = r"""
// Gradient of the state before each segment from the outputs of the segment alone, and the decay over it.
__device__ __forceinline__ void backward_carry(const Params &p) {
  const Lane me(p.channels);
  const int segment = blockIdx.y, batch = blockIdx.z;
  const int begin = segment * p.segment_length, end = min(begin + p.segment_length, p.length);
  constexpr int C_TILE = T * N, C_LOADS = (C_TILE / 4 + 31) / 32, BUFFER = 2 * CG * GROUP + C_TILE;
  __shared__ __align__(16) float shared[W * 2 * BUFFER];
  int read_at = me.warp * 2 * BUFFER + me.c * GROUP, write_at = read_at + me.own_step * CH + me.own_slot;
  int c_read_at = me.warp * 2 * BUFFER + 2 * CG * GROUP + me.g * ST;
  int c_write_at = me.warp * 2 * BUFFER + 2 * CG * GROUP + me.lane * 4;
  keep(read_at); keep(write_at); keep(c_read_at); keep(c_write_at);
  float A2[CH][ST], dh[CH][ST], bias[OC], total[OC];
  const i64 state_offset = ((i64)(batch * p.segments + segment) * p.channels + me.group_channel) * N + me.g * ST;
#pragma unroll
  for (int c = 0; c < CH; c++) {
    load_quad(p.A + (i64)(me.group_channel + c) * N + me.g * ST, A2[c], LOG2E);
    dh[c][0] = dh[c][1] = dh[c][2] = dh[c][3] = 0.0f;
  }
#pragma unroll
  for (int j = 0; j < OC; j++) { bias[j] = p.bias ? p.bias[me.own_channel + j] : 0.0f; total[j] = 0.0f; }

  int t0 = begin + (end - begin - 1) / T * T;
  int fetch_t = t0 + me.own_step, fetch_c = t0 + me.lane / (N / 4);
  const element *C = p.C + batch * p.C_stride.batch + fetch_c * p.C_stride.row + me.lane % (N / 4) * 4;
  Raw<OC> next_delta[OS], next_z[OS], next_dy[OS];
  Raw<4> next_c[C_LOADS];
#pragma unroll
  for (int i = 0; i < OS; i++) { next_delta[i].zero(); next_z[i].zero(); next_dy[i].zero(); }
#pragma unroll
  for (int k = 0; k < C_LOADS; k++) next_c[k].zero();
  auto fetch = [&]() {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      const int t = fetch_t + i;
      const bool inside = t < end && fetch_t >= begin;
      if (inside) next_delta[i].load(row_of(p.delta, p.delta_stride, batch, t, me.own_channel));
      if (inside) next_dy[i].load(row_of(p.dy, p.dy_stride, batch, t, me.own_channel));
      if (HAS_Z && inside) next_z[i].load(row_of(p.z, p.z_stride, batch, t, me.own_channel));
    }
#pragma unroll
    for (int k = 0; k < C_LOADS; k++) {
      const int row = 32 * k / (N / 4);
      if (me.lane + 32 * k < C_TILE / 4 && fetch_c + row < end && fetch_c >= begin) next_c[k].load(C + row * p.C_stride.row);
    }
    C -= T * p.C_stride.row;
    fetch_t -= T; fetch_c -= T;
    keep(fetch_t);
  };
  float now_s[OS][OC], now_g[OS][OC];
  float4 now_c[C_LOADS];
  auto compute_scalars = [&]() {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      const bool inside = fetch_t + T + i < end && fetch_t + T >= begin;
#pragma unroll
      for (int j = 0; j < OC; j++) {
        float s = step_size(next_delta[i][j] + bias[j]), gy = next_dy[i][j];
        if (HAS_Z) { float v = next_z[i][j]; gy *= v * sigmoid(v); }
        now_s[i][j] = inside ? s : 0.0f;
        now_g[i][j] = inside ? gy : 0.0f;
        total[j] += now_s[i][j];
      }
    }
#pragma unroll
    for (int k = 0; k < C_LOADS; k++) now_c[k] = make_float4(next_c[k][0], next_c[k][1], next_c[k][2], next_c[k][3]);
  };
  auto share_scalars = [&](int buffer) {
#pragma unroll
    for (int i = 0; i < OS; i++) {
      write_shared<OC>(shared + write_at + buffer + i * CH, now_s[i]);
      write_shared<OC>(shared + write_at + buffer + CG * GROUP + i * CH, now_g[i]);
    }
#pragma unroll
    for (int k = 0; k < C_LOADS; k++)
      if (me.lane + 32 * k < C_TILE / 4) *reinterpret_cast<float4 *>(shared + c_write_at + buffer + 128 * k) = now_c[k];
  };
  fetch();
  compute_scalars();
  share_scalars(0);
  __syncwarp();
  fetch();
  const u8 *flags = p.resets + (i64)batch * p.length;
  u32 resets = 0;
  bool cut = false, next_reset = false;
  int in_chunk = (t0 - begin) % K;
  if (HAS_RESETS) next_reset = t0 - in_chunk + me.lane < end && flags[t0 - in_chunk + me.lane];
  resets = __ballot_sync(ALL, next_reset);
#pragma unroll 1
  for (int buffer = 0; t0 >= begin; t0 -= T, buffer ^= BUFFER, in_chunk -= T) {
    if (in_chunk < 0) {
      in_chunk += K;
      if (HAS_RESETS) resets = __ballot_sync(ALL, flags[t0 - in_chunk + me.lane]);
      if (const int t = t0 - in_chunk - K + me.lane; t >= begin && me.warp_channel < p.channels) {
        prefetch(row_of(p.delta, p.delta_stride, batch, t, me.warp_channel), WARP_CHANNELS);
        prefetch(row_of(p.dy, p.dy_stride, batch, t, me.warp_channel), WARP_CHANNELS);
        if (HAS_Z) prefetch(row_of(p.z, p.z_stride, batch, t, me.warp_channel), WARP_CHANNELS);
        if (me.warp == 0) prefetch(row_of(p.C, p.C_stride, batch, t, 0), N);
      }
    }
    if (HAS_RESETS) cut |= resets != 0;
    compute_scalars();
    fetch();
    float step[GROUP], grad[GROUP];
    read_shared<GROUP>(shared + read_at + buffer, step);
    read_shared<GROUP>(shared + read_at + buffer + CG * GROUP, grad);
#pragma unroll
    for (int t = T - 1; t >= 0; t--) {
      float cc[ST];
      read_shared<ST>(shared + c_read_at + buffer + t * N, cc);
      const float off = HAS_RESETS && (resets >> (in_chunk + t) & 1) ? minus_infinity() : 0.0f;
#pragma unroll
      for (int c = 0; c < CH; c++)
#pragma unroll
        for (int i = 0; i < ST; i++)
          dh[c][i] = decay(step[t * CH + c], A2[c][i], off) * fmaf(cc[i], grad[t * CH + c], dh[c][i]);
    }
    share_scalars(buffer ^ BUFFER);
    __syncwarp();
  }
  float *S = shared + me.warp * 2 * BUFFER;
#pragma unroll
  for (int j = 0; j < OC; j++) {
    float sum = total[j];
    sum += __shfl_xor_sync(ALL, sum, 1);
    if (G >= 4) sum += __shfl_xor_sync(ALL, sum, 2);
    S[me.c * CH + me.own_slot + j] = sum;
  }
  __syncwarp();
  if (me.live) {
#pragma unroll
    for (int c = 0; c < CH; c++) {
      float d[ST];
#pragma unroll
      for (int i = 0; i < ST; i++) d[i] = cut ? 0.0f : exp2_fast(S[me.c * CH + c] * A2[c][i]);
      store_quad(p.decay + state_offset + c * N, d);
      store_quad(p.dstart + state_offset + c * N, dh[c]);
    }
  }
}

extern "C" __global__ void __launch_bounds__(32 * W, CARRY_BLOCKS) scan_backward_carry(const __grid_constant__ Params p) { backward_carry(p); }

// Gradients of the states between segments, last first. `dstart` and `decay` of each segment alone; `joined` gets the
// gradient of the state after each.
extern "C" __global__ void scan_join_backward(const __grid_constant__ Params p) {
  const i64 size = (i64)p.channels * N, i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const i64 first = (i64)blockIdx.y * p.segments * size + i;
  float h = p.dlast ? p.dlast[blockIdx.y * size + i] : 0.0f;
#pragma unroll 4
  for (int s = p.segments - 1; s >= 0; s--) {
    p.joined[first + s * size] = h;
    h = fmaf(p.decay[first + s * size], h, p.dstart[first + s * size]);
  }
}
"""
