// Computes: y = kept ? x / (1 − probability) : 0. Entry i is kept where the top 24 bits of word i & 1 of
//   philox2x32-10(i / 2, counter, key) are ≥ probability · 2²⁴.
// Owners: A thread owns a contiguous share of the elements; a lane is one element. The counter of an element
//   depends on its index alone, so the mask does not depend on the threads.
// Cost: 8 bytes per element (4 in bf16). A vector takes 10 rounds with a 32 × 32 → 64 bit product each: about
//   2 instructions per element with 16 lanes. Bound by memory with AVX-512.
// Assumes: `counter` and `key` are the words of contract/src/numbers/rng.ts, whose philox2x32 this repeats
//   bit for bit. Lengths are checked below.
// Dropped: one block per element, of which one word is thrown away: twice the work (0.56 ms instead of 0.3
//   for 2048 × 576 on two cores of a Zen 4 server).
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr std::uint32_t MULTIPLIER = 0xd256d193;
constexpr std::uint32_t KEY_STEP = 0x9e3779b9;
constexpr int ROUNDS = 10;

// The 64-bit products of the lower halves of the lanes with MULTIPLIER.
QD_INLINE U64x product(U64x a) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  return (U64x)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(MULTIPLIER));
#elif defined(__AVX2__) && QD_WIDTH == 8
  return (U64x)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(MULTIPLIER));
#else
  return (a & 0xffffffffu) * MULTIPLIER;
#endif
}

// Vectors of one walk: their rounds are independent, so that a product's latency is hidden.
constexpr int ABREAST = 4;

// Both words of ABREAST · WIDTH / 2 blocks whose first counters are start, start + 1, …: entry i is word i &
// 1 of block i / 2. Blocks run as 64-bit lanes, of which the lower halves count.
QD_INLINE void wordsFrom(std::uint32_t start, std::uint32_t counter, std::uint32_t key,
                         U32x (&words)[ABREAST]) {
  constexpr std::uint64_t LANE[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  U64x first[ABREAST], second[ABREAST];
  __builtin_memcpy(&first[0], LANE, sizeof first[0]);
  for (int j = ABREAST - 1; j >= 0; j--)
    first[j] = first[0] + (start + static_cast<std::uint64_t>(j) * (WIDTH / 2)), second[j] = U64x{} + counter;
#pragma GCC unroll 10
  for (int round = 0; round < ROUNDS; round++, key += KEY_STEP) {
#pragma GCC unroll 4
    for (int j = 0; j < ABREAST; j++) {
      const U64x p = product(first[j]);
      first[j] = (p >> 32) ^ second[j] ^ key;
      second[j] = p;
    }
  }
  for (int j = 0; j < ABREAST; j++) words[j] = (U32x)((first[j] & 0xffffffffu) | (second[j] << 32));
}

template <class T>
Status dropAs(Threads& threads, const T* x, T* y, Size count, double probability, std::uint32_t key,
              std::uint32_t counter) {
  if (!x || !y) return unsupported("x and y must have the same element type");
  if (!(probability >= 0 && probability <= 1)) return unsupported("the probability must be within 0…1");
  const I32x threshold = allI32(static_cast<std::int32_t>(probability * 16777216.0 + 0.5));
  const float factor = static_cast<float>(1 / (1 - probability));
  const Outgoing<T> out(y, count, 64, y == x);
  const int parts = threads.partsFor(static_cast<double>(count), ELEMENTWISE_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(count, parts, part, ABREAST * WIDTH);
    for (Size i = range.begin; i < range.end; i += ABREAST * WIDTH) {
      U32x words[ABREAST];
      wordsFrom(static_cast<std::uint32_t>(i / 2), counter, key, words);
      for (int j = 0; j < ABREAST; j++) {
        const Size at = i + static_cast<Size>(j) * WIDTH;
        if (at >= range.end) break;
        const int n = static_cast<int>(smaller<Size>(WIDTH, range.end - at));
        out.put(at, select((I32x)(words[j] >> 8) >= threshold, loadFirst(x + at, n) * factor, F32x{}), n);
      }
    }
    streamFence();
  });
  return ok();
}

Status dropout(Threads& threads, Dense x, In<std::int32_t> counter, OutDense y, Size count,
               double probability, std::uint32_t key) {
  QD_NEED(x, count);
  QD_NEED(counter, 1);
  QD_NEED(y, count);
  const auto step = static_cast<std::uint32_t>(counter.data[0]);
  return x.f32 ? dropAs(threads, x.f32, y.f32, count, probability, key, step)
               : dropAs(threads, x.bf16, y.bf16, count, probability, key, step);
}

}  // namespace
QD_EXPORT(dropout)
}  // namespace qdylora::QD_LEVEL
