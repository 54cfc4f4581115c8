// Computes: the ceilings of the machine, measured with this level's own instructions, so that a bench can
//   report a fraction of them.
// Owners: each thread runs its own independent chains (fmaPeak), or copies its own share of the array
//   (copyBandwidth).
// Cost: fmaPeak and bf16Peak touch no memory; 12 chains hide the latency of 4 cycles at 2 FMA per cycle.
//   Tiles: 4 sums in registers, 16 cycles a product. copyBandwidth: 4 bytes read and 4 written per float.
// Assumes: the caller repeats and takes the best, since the cores may be shared.
// Dropped: the peak from a nominal clock: turbo makes that a guess.
#include <time.h>

#include "../amx.h"

namespace qdylora::QD_LEVEL {
namespace {

double seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// GFLOP/s of all threads together: the sum of what each thread reached by itself. `work(sum)` computes for a
// while, leaves a number that depends on it, and gives operations a second.
template <class Work>
double rateOf(Threads& threads, Out<float> sink, const Work& work) {
  const int parts = sink.size < static_cast<Size>(threads.count()) ? 1 : threads.count();
  double rate[1024] = {};
  double total = 0;
  threads.run(parts, [&](int part) {
    float sum;
    rate[part] = work(sum);
    if (sink.size) sink.data[part] = sum;
  });
  for (int part = 0; part < parts; part++) total += rate[part];
  return total / 1e9;
}

// `flops` of one `step` on a vector, by chains that do not wait for each other.
template <class Step>
double peakOf(Threads& threads, Out<float> sink, double flops, const Step& step) {
  return rateOf(threads, sink, [&](float& result) {
    constexpr int CHAINS = 12;
    constexpr int STEPS = 400000;
    F32x c[CHAINS];
    for (int i = 0; i < CHAINS; i++) c[i] = all(static_cast<float>(i));
    F32x a = all(0.999f);
    F32x b = all(1e-3f);
    asm volatile("" : "+m"(a), "+m"(b));
    const double start = seconds();
    for (int i = 0; i < STEPS; i++) {
#pragma GCC unroll 12
      for (int chain = 0; chain < CHAINS; chain++) c[chain] = step(c[chain], a, b);
    }
    F32x sum{};
    for (int i = 0; i < CHAINS; i++) sum += c[i];
    result = sumOf(sum);
    return flops * WIDTH * CHAINS * STEPS / (seconds() - start);
  });
}

double fmaPeak(Threads& threads, Out<float> sink) {
  return peakOf(threads, sink, 2, [](F32x c, F32x a, F32x b) { return fma(c, a, b); });
}

#if defined(__AMX_BF16__)
// Numbers like weights: zeros would run 15 % faster (Sapphire Rapids, 2026).
double tilePeak(Threads& threads, Out<float> sink) {
  return rateOf(threads, sink, [](float& result) {
    constexpr int STEPS = 20000;
    constexpr int PRODUCTS = 4;
    const TileRegisters registers;
    alignas(64) BFloat16 operands[2][512];
    for (int i = 0; i < 1024; i++)
      operands[i / 512][i % 512] = static_cast<BFloat16>(0x3f00 + (i * 37 & 0x80ff));
    alignas(64) float sums[256];
    QD_TILE_FENCE;
    clearTiles<2, 2>();
    _tile_loadd(4, operands[0], 64);
    _tile_loadd(5, operands[1], 64);
    _tile_loadd(6, operands[1], 64);
    _tile_loadd(7, operands[0], 64);
    const double start = seconds();
    for (int i = 0; i < STEPS; i++) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    const double rate = 2.0 * 16 * 16 * 32 * PRODUCTS * STEPS / (seconds() - start);
    _tile_stored(0, sums, 64);
    QD_TILE_FENCE;
    result = sums[0];
    return rate;
  });
}
#endif

// Products of bf16 numbers in pairs; 0 where the level multiplies bf16 numbers one by one, by the
// instructions of fmaPeak.
double bf16Peak(Threads& threads, Out<float> sink) {
#if defined(__AMX_BF16__)
  return tilePeak(threads, sink);
#endif
  if constexpr (BF16_PAIRS)
    return peakOf(threads, sink, 4, [](F32x c, F32x a, F32x b) { return addPairs(c, asI32(a), asI32(b)); });
  (void)threads, (void)sink;
  return 0;
}

// GB/s of reading one half of `data` and writing the other.
double copyBandwidth(Threads& threads, Out<float> data) {
  const Size half = data.size / 2;
  const double start = seconds();
  threads.run(threads.count(), [&](int part) {
    const Range range = shareOf(half, threads.count(), part, WIDTH);
    Size i = range.begin;
    for (; i + WIDTH <= range.end; i += WIDTH) store(data.data + half + i, load(data.data + i));
    for (; i < range.end; i++) data.data[half + i] = data.data[i];
  });
  return 8.0 * static_cast<double>(half) / (seconds() - start) / 1e9;
}

// Microseconds of an empty run of all threads, the mean of `runs`, each after the caller alone was busy for
// `pauseMicroseconds`: longer pauses find the others asleep.
double emptyRun(Threads& threads, Size runs, double pauseMicroseconds) {
  double total = 0;
  for (Size i = 0; i < runs; i++) {
    for (const double end = seconds() + 1e-6 * pauseMicroseconds; seconds() < end;) {
    }
    const double start = seconds();
    threads.run(threads.count(), [](int) {});
    total += seconds() - start;
  }
  return 1e6 * total / static_cast<double>(runs ? runs : 1);
}

}  // namespace
QD_EXPORT(fmaPeak)
QD_EXPORT(bf16Peak)
QD_EXPORT(copyBandwidth)
QD_EXPORT(emptyRun)
}  // namespace qdylora::QD_LEVEL
