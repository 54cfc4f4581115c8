// Computes: rows as 8-bit integers with one scale each: scale = largest magnitude / 127, code = weight · fl(1
//   / scale) to the nearest even, as the reference rounds it.
// Owners: a thread owns rows and walks each twice, the second time from its caches.
// Cost: 3 (bf16) or 5 (float32) bytes per weight: bound by memory.
// Assumes: nothing about values: a row that is not finite, or whose scale is below 2^-100, gets the scale NaN
//   and codes 0.
// Not done: a scale for every 32 weights: an outlier then costs less precision, but each run of 32 needs its
//   own product with a scale.
#include "../../native/ahead.h"
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr float LARGEST_CODE = 127;
constexpr float LEAST_SCALE = 0x1p-100f;
// Added to a number of few bits, it leaves the nearest even integer in the lowest ones.
constexpr float ROUNDER = 0x1.8p23f;

template <class T>
float scaleOf(const T* row, Size cols) {
  I32x most{};
  for (Size i = 0; i < cols; i += WIDTH) {
    prefetchReads(row + i);
    const I32x magnitude =
        asI32(loadFirst(row + i, static_cast<int>(smaller<Size>(WIDTH, cols - i)))) & 0x7fffffff;
    most = magnitude > most ? magnitude : most;
  }
  const std::int32_t bits = largestOf(most);
  const float scale = __builtin_bit_cast(float, bits) / LARGEST_CODE;
  return bits < INFINITY_BITS && (bits == 0 || scale >= LEAST_SCALE) ? scale : __builtin_nanf("");
}

template <class T>
void quantizeRow(const T* row, Size cols, std::uint8_t* codes, float& scale) {
  scale = scaleOf(row, cols);
  if (!(scale > 0)) {
    for (Size i = 0; i < cols; i++) codes[i] = 0;
    return;
  }
  const float inverse = 1 / scale;
  for (Size i = 0; i < cols; i += WIDTH) {
    const int n = static_cast<int>(smaller<Size>(WIDTH, cols - i));
    const U8x rounded = __builtin_convertvector(asI32(loadFirst(row + i, n) * inverse + ROUNDER) & 0xff, U8x);
    if (n == WIDTH)
      *reinterpret_cast<U8xUnaligned*>(codes + i) = rounded;
    else
      for (int lane = 0; lane < n; lane++) codes[i + static_cast<Size>(lane)] = rounded[lane];
  }
}

Status quantizeRows(Threads& threads, Dense weight, Out<std::uint8_t> codes, Out<float> scales, Size rows,
                    Size cols) {
  QD_NEED(weight, times(rows, cols));
  QD_NEED(codes, times(rows, cols));
  QD_NEED(scales, rows);
  const int parts = threads.partsFor(static_cast<double>(rows * cols), ELEMENTWISE_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(rows, parts, part);
    for (Size row = range.begin; row < range.end; row++) {
      if (weight.bf16)
        quantizeRow(weight.bf16 + row * cols, cols, codes.data + row * cols, scales.data[row]);
      else
        quantizeRow(weight.f32 + row * cols, cols, codes.data + row * cols, scales.data[row]);
    }
  });
  return ok();
}

}  // namespace
QD_EXPORT(quantizeRows)
}  // namespace qdylora::QD_LEVEL
