// Computes: y = x · factor where the top 24 bits of word i & 1 of philox(⌊i / 2⌋, counter, key) are at least
//   `threshold`, else 0: the masks of the contract's generator.
// Owners: a thread owns four consecutive elements: two blocks of the generator.
// Cost: 8 bytes per element (4 of two bytes) and 20 integer products per four elements: bound by the
//   bandwidth of memory.
// Assumes: arrays of n < 2³³ elements and a counter of one element (runOp checks). Any alignment.
// Dropped: nothing yet. Not measured on a device.
#include "elementwise.h"

namespace {

struct Words {
  unsigned low;
  unsigned high;
};

// Philox 2x32-10 (Salmon et al. 2011), as in rng.ts of contract.
__device__ Words philox2x32(unsigned a, unsigned b, unsigned key) {
  constexpr unsigned MULTIPLIER = 0xd256d193u;
  constexpr unsigned KEY_STEP = 0x9e3779b9u;
  constexpr int ROUNDS = 10;
  for (int round = 0; round < ROUNDS; round++) {
    const unsigned low = MULTIPLIER * a;
    a = __umulhi(MULTIPLIER, a) ^ key ^ b;
    b = low;
    key += KEY_STEP;
  }
  return {a, b};
}

template <class T>
__device__ void dropout(const T* x, const int* counter, T* y, Size n, unsigned key, unsigned threshold,
                        float factor) {
  const Run run = runOfThread(n);
  if (run.count == 0) return;
  float values[4];
  loadRun(x, run, values);
  const unsigned step = static_cast<unsigned>(*counter);
  for (int i = 0; i < 4; i += 2) {
    const Words words = philox2x32(static_cast<unsigned>((run.begin + i) / 2), step, key);
    values[i] = words.low >> 8 >= threshold ? values[i] * factor : 0.f;
    values[i + 1] = words.high >> 8 >= threshold ? values[i + 1] * factor : 0.f;
  }
  storeRun(y, run, values);
}

}  // namespace

#define QD_DROPOUT(NAME, T)                                                                   \
  extern "C" __global__ void NAME(const T* x, const int* counter, T* y, Size n, unsigned key, \
                                  unsigned threshold, float factor) {                         \
    dropout(x, counter, y, n, key, threshold, factor);                                        \
  }
QD_FOR_ELEMENTS(QD_DROPOUT, dropout)
