// Enough of CUDA on a CPU to run one block of a kernel after the other: threads are fibers that take turns at barriers
// and exchanges between lanes. Slow, deterministic, and right where the kernel only communicates through those.
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

struct uint3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
#define __device__
#define __global__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static
#define __builtin_assume(x)

template <typename A, typename B> inline auto min(A a, B b) { return a < b ? a : b; }
template <typename A, typename B> inline auto max(A a, B b) { return a > b ? a : b; }
inline float __uint_as_float(unsigned v) { float f; std::memcpy(&f, &v, 4); return f; }
inline unsigned __float_as_uint(float v) { unsigned u; std::memcpy(&u, &v, 4); return u; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float emulated_exp2(float x) { float r = std::exp2(x); return r < 1.17549435e-38f ? 0.0f : r; }
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  unsigned long long both = (unsigned long long)y << 32 | x;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) r |= (unsigned)(both >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
  return r;
}

uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {
constexpr int STACK = 256 * 1024;
struct Copy { void *to; const void *from; int bytes, copied; };
struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  bool done;
  std::vector<Copy> copies;                // of the group that is not closed yet
  std::deque<std::vector<Copy>> in_flight;
};
struct Barrier { int arrived = 0, members = 0; unsigned generation = 0; };
std::vector<Fiber> fibers;
std::vector<Barrier> warps;
std::vector<unsigned> slots;
Barrier block;
ucontext_t scheduler;
int current;
std::function<void()> body;
std::vector<float> dynamic_shared;

inline void yield() { swapcontext(&fibers[current].context, &scheduler); }
inline void release_if_complete(Barrier &b) {
  if (b.arrived && b.arrived == b.members) { b.arrived = 0; b.generation++; }
}
inline void wait(Barrier &b) {
  const unsigned generation = b.generation;
  b.arrived++;
  release_if_complete(b);
  while (b.generation == generation) yield();
}
inline void enter() {
  body();
  fibers[current].done = true;
  for (Barrier *b : {&block, &warps[current / 32]}) { b->members--; release_if_complete(*b); }
  yield();
}
inline unsigned exchange(unsigned value, int from) {
  Barrier &warp = warps[current / 32];
  slots[current] = value;
  wait(warp);
  const unsigned other = slots[current / 32 * 32 + from];
  wait(warp);
  return other;
}
inline void run_block(int threads) {
  fibers.resize(threads);
  slots.assign(threads, 0);
  warps.assign((threads + 31) / 32, Barrier());
  block = Barrier();
  block.members = threads;
  for (int i = 0; i < threads; i++) {
    Fiber &f = fibers[i];
    if (!f.stack) f.stack.reset(new char[STACK]);
    f.done = false;
    f.copies.clear();
    f.in_flight.clear();
    warps[i / 32].members++;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
  }
  for (bool alive = true; alive;) {
    alive = false;
    for (current = 0; current < threads; current++)
      if (!fibers[current].done) {
        alive = true;
        threadIdx = {(unsigned)current, 0, 0};
        swapcontext(&scheduler, &fibers[current].context);
      }
  }
}
inline void launch(int x, int y, int z, int threads, int shared_bytes, std::function<void()> kernel) {
  blockDim = {(unsigned)threads, 1, 1};
  gridDim = {(unsigned)x, (unsigned)y, (unsigned)z};
  dynamic_shared.assign(shared_bytes / 4 + 4, __uint_as_float(0x7fc00000u));  // what is not written is not a number
  body = kernel;
  for (int k = 0; k < z; k++)
    for (int j = 0; j < y; j++)
      for (int i = 0; i < x; i++) {
        blockIdx = {(unsigned)i, (unsigned)j, (unsigned)k};
        run_block(threads);
      }
}
// A copy spoils its place at once and arrives as late as it may: who reads too early, or copies over what is still
// needed, gets what is not a number.
inline void copy_later(void *to, const void *from, int bytes, int copied) {
  std::memset(to, 0xff, bytes);
  fibers[current].copies.push_back({to, from, bytes, copied});
}
inline void end_copies() {
  Fiber &f = fibers[current];
  f.in_flight.push_back(std::move(f.copies));
  f.copies.clear();
}
inline void wait_for_copies(int pending) {
  for (auto &groups = fibers[current].in_flight; (int)groups.size() > pending; groups.pop_front())
    for (const Copy &c : groups.front()) {
      std::memcpy(c.to, c.from, c.copied);
      std::memset(static_cast<char *>(c.to) + c.copied, 0, c.bytes - c.copied);
    }
}
inline float *shared_memory() {
  const auto at = reinterpret_cast<size_t>(dynamic_shared.data());
  return reinterpret_cast<float *>((at + 15) / 16 * 16);
}
}  // namespace emulator

inline void __syncthreads() { emulator::wait(emulator::block); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulator::wait(emulator::warps[emulator::current / 32]); }
inline float __shfl_xor_sync(unsigned, float v, int mask) {
  return __uint_as_float(emulator::exchange(__float_as_uint(v), emulator::current % 32 ^ mask));
}
inline float __shfl_sync(unsigned, float v, int from) {
  return __uint_as_float(emulator::exchange(__float_as_uint(v), from));
}
inline bool __any_sync(unsigned, bool v) {
  bool any = false;
  for (int i = 0; i < 32; i++) any |= emulator::exchange(v, i);
  return any;
}
inline int __syncthreads_or(int v) {
  static int any = 0;
  any |= v;
  emulator::wait(emulator::block);
  const int found = any;
  emulator::wait(emulator::block);
  any = 0;
  emulator::wait(emulator::block);
  return found;
}
inline int __ffs(unsigned v) { return __builtin_ffs(v); }
inline float __shfl_up_sync(unsigned, float v, int distance) {
  const int lane = emulator::current % 32;
  return __uint_as_float(emulator::exchange(__float_as_uint(v), lane < distance ? lane : lane - distance));
}
inline unsigned __ballot_sync(unsigned, bool v) {
  unsigned bits = 0;
  for (int i = 0; i < 32; i++) bits |= emulator::exchange(v, i) << i;
  return bits;
}
