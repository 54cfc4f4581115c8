// Computes: sum = Σ x², in float64, rounded to float32 once.
// Owners: a thread owns whole blocks of 8,192 elements. A block is summed in two vectors of doubles, and the
//   sums of the blocks are added in order, so threads change nothing.
// Cost: reads 4 bytes per element: bound by memory.
// Assumes: no alignment; lengths are checked below. The scratch size comes from sumOfSquaresScratch.
// Not done: float32 sums with compensation: squares of large gradients overflow.
#include "../../native/simd.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr Size BLOCK = 8192;
typedef double F64x __attribute__((vector_size(8 * QD_WIDTH)));

QD_INLINE double blockSum(const float* x, Size count) {
  F64x even{}, odd{};
  Size i = 0;
  for (; i + 2 * WIDTH <= count; i += 2 * WIDTH) {
    const F64x a = __builtin_convertvector(load(x + i), F64x);
    const F64x b = __builtin_convertvector(load(x + i + WIDTH), F64x);
    even += a * a;
    odd += b * b;
  }
  const F64x both = even + odd;
  double sum = 0;
  for (int lane = 0; lane < WIDTH; lane++) sum += both[lane];
  for (; i < count; i++) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

// Floats of scratch that sumOfSquares needs: one double per block.
Size sumOfSquaresScratch(Size count) { return 2 * ((count + BLOCK - 1) / BLOCK); }

Status sumOfSquares(Threads& threads, In<float> x, Out<float> sum, Out<float> scratch, Size count) {
  QD_NEED(x, count);
  QD_NEED(sum, 1);
  QD_NEED(scratch, sumOfSquaresScratch(count));
  const int parts = threads.partsFor(static_cast<double>(count), 4 * BLOCK);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(count, parts, part, BLOCK);
    for (Size i = range.begin; i < range.end; i += BLOCK) {
      const double partial = blockSum(x.data + i, smaller(BLOCK, count - i));
      __builtin_memcpy(scratch.data + 2 * (i / BLOCK), &partial, sizeof partial);
    }
  });
  double total = 0;
  for (Size block = 0; 2 * block < sumOfSquaresScratch(count); block++) {
    double partial;
    __builtin_memcpy(&partial, scratch.data + 2 * block, sizeof partial);
    total += partial;
  }
  sum.data[0] = static_cast<float>(total);
  return ok();
}

}  // namespace
QD_EXPORT(sumOfSquaresScratch)
QD_EXPORT(sumOfSquares)
}  // namespace qdylora::QD_LEVEL
