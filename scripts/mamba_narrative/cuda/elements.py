"""CUDA C++ that all kernels share: elements in bfloat16 or float32 (``BF16``), read and written some at a time."""

SOURCE = r"""
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;
typedef long long i64;

constexpr float LOG2E = 1.4426950408889634f;

#if BF16
typedef u16 element;
#else
typedef float element;
#endif

struct Rows { i64 batch; int row; };  // strides in elements; the rows of one sequence span less than 2^31
template <typename X> __device__ __forceinline__ X *row_at(X *sequence, int row, int t, int channel) {
  return sequence + ((u32)t * (u32)row + (u32)channel);
}
template <typename X> __device__ __forceinline__ X *row_of(X *p, Rows stride, int batch, int t, int channel) {
  return row_at(p + batch * stride.batch, stride.row, t, channel);
}
// For `row_at` in a loop: the start of a sequence, held in registers, as computing it again costs more than the rest of an
// address.
template <typename X> __device__ __forceinline__ X *sequence_of(X *p, Rows stride, int batch) {
  p += batch * stride.batch;
  asm volatile("" : "+l"(p));
  __builtin_assume(__isGlobal(p));
  return p;
}

__device__ __forceinline__ float exp2_fast(float x) { float r; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
__device__ __forceinline__ float reciprocal(float x) { float r; asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
__device__ __forceinline__ float sigmoid(float x) { return reciprocal(1.0f + exp2_fast(x * -LOG2E)); }

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

#define COPIES_IN_FLIGHT (__CUDA_ARCH__ >= 800)
// Copy `n` neighbouring elements into shared memory while the thread goes on; zeros where they are not `wanted`. Whoever
// copied may read once `copies_wait` says that all but the last `pending` groups, each closed by `copies_end`, are there.
template <int n> __device__ __forceinline__ void copy_async(element *to, const element *from, bool wanted) {
#if COPIES_IN_FLIGHT
  constexpr int bytes = n * sizeof(element);
  const int copied = wanted ? bytes : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from), "n"(bytes), "r"(copied));
#else
  for (int i = 0; i < n; i++) to[i] = wanted ? from[i] : element(0);
#endif
}
__device__ __forceinline__ void copies_end() {
#if COPIES_IN_FLIGHT
  asm volatile("cp.async.commit_group;");
#endif
}
template <int pending> __device__ __forceinline__ void copies_wait() {
#if COPIES_IN_FLIGHT
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

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
"""
