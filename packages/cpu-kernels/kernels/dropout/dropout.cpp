// y = kept ? x / (1 − probability) : 0; entry i is kept where the top 24 bits of word 0 of philox2x32-10(i, counter, key) are ≥ probability · 2²⁴.
// Each thread owns one contiguous share of the elements, each lane one element with its own counter, so the mask does not depend on the threads.
// 8 bytes per element and about 80 integer operations: bound by arithmetic on one core (10 rounds of a 32 × 32 → 64 bit product).
// Assumes that `counter` and `key` are the words of contract/src/rng.ts, whose philox2x32 this repeats bit for bit; lengths are checked below.
// Not done: using both words of a block for two entries (half the work, but then the mask would not be the contract's).
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr std::uint32_t MULTIPLIER = 0xd256d193, KEY_STEP = 0x9e3779b9;
constexpr int ROUNDS = 10;

typedef std::uint64_t U64x __attribute__((vector_size(4 * QD_WIDTH)));

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

// Word 0 of WIDTH blocks whose first counters are start, start + 1, … Even and odd entries run as two vectors of 64-bit lanes; only lower halves count.
QD_INLINE U32x firstWords(std::uint32_t start, std::uint32_t counter, std::uint32_t key) {
  constexpr std::uint32_t LANE[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const U32x counters = (U32x)loadI32(LANE) + start;
  U64x even = (U64x)counters, odd = even >> 32, evenOther = U64x{} + counter, oddOther = evenOther;
#pragma GCC unroll 10
  for (int round = 0; round < ROUNDS; round++, key += KEY_STEP) {
    const U64x p = product(even), q = product(odd);
    even = (p >> 32) ^ evenOther ^ key;
    odd = (q >> 32) ^ oddOther ^ key;
    evenOther = p;
    oddOther = q;
  }
  return (U32x)((even & 0xffffffffu) | (odd << 32));
}

Status dropout(Threads& threads, In<float> x, Out<float> y, Size count, double probability, std::uint32_t key, std::uint32_t counter) {
  QD_NEED(x, count);
  QD_NEED(y, count);
  if (!(probability >= 0 && probability <= 1)) return unsupported("expected a probability within 0…1");
  const I32x threshold = allI32(static_cast<std::int32_t>(probability * 16777216.0 + 0.5));
  const float factor = static_cast<float>(1 / (1 - probability));
  elementwise(threads, count, [&](Size i, int n) {
    const I32x top = (I32x)(firstWords(static_cast<std::uint32_t>(i), counter, key) >> 8);
    storeFirst(y.data + i, select(top >= threshold, loadFirst(x.data + i, n) * factor, F32x{}), n);
  });
  return ok();
}

}  // namespace
QD_EXPORT(dropout)
}  // namespace qdylora::QD_LEVEL
