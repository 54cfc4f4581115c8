// Computes: offset = mean(absmax); nestedAbsmax[g] = max |absmax − offset| over 256 blocks; code = nearest
//   number of a map of 256 to (absmax − offset) / nestedAbsmax, the lower one on a limit. The same bytes as
//   the reference.
// Owners: a thread owns whole groups of 256; a lane is one scale. Eight comparisons of a binary search among
//   the 255 limits, which stay in the first cache. The mean is one chain of sums in float64.
// Cost: 5 bytes per scale, one scale for 64 weights or more: about 4 ns each, a tenth of the time for the
//   weights.
// Assumes: the limits in rising order and the code of each place. The binding reads
//   quantizeBlockwiseBadBlock, which finds NaN and ∞.
// Not done: a table by the leading bits of a difference; the mean in several chains (its last bit would
//   depend on their number).
#include "../../native/gemm/nf4-weight.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr double GRAIN = 4096;

// Full groups multiply by the rounded reciprocal, a short one divides, as for weights.
void packGroup(const float* absmax, Size count, float offset, const float* limits,
               const std::uint8_t* mapCodes, std::uint8_t* codes, float& nestedAbsmax) {
  float differences[NESTED_BLOCK];
  std::int32_t largest = 0;
  for (Size i = 0; i < count; i++) {
    differences[i] = absmax[i] - offset;
    largest = larger(largest, __builtin_bit_cast(std::int32_t, differences[i]) & 0x7fffffff);
  }
  nestedAbsmax = __builtin_bit_cast(float, largest);
  const float divisor = larger(nestedAbsmax, SMALLEST_DIVISOR);
  const float reciprocal = 1.f / divisor;
  const bool isFull = count == NESTED_BLOCK;
  std::int32_t places[NESTED_BLOCK] = {};
  for (Size i = 0; i < count; i++)
    differences[i] = isFull ? differences[i] * reciprocal : differences[i] / divisor;
  for (std::int32_t half = 128; half > 0; half /= 2) {
    for (Size i = 0; i < count; i++) places[i] += differences[i] > limits[places[i] + half - 1] ? half : 0;
  }
  for (Size i = 0; i < count; i++) codes[i] = mapCodes[places[i]];
}

Status quantizeScales(Threads& threads, In<float> absmax, In<float> limits, In<std::uint8_t> mapCodes,
                      Out<std::uint8_t> codes, Out<float> nestedAbsmax, Out<float> offset, Size blocks) {
  const Size groups = (blocks + NESTED_BLOCK - 1) / NESTED_BLOCK;
  QD_NEED(absmax, blocks);
  QD_NEED(limits, 255);
  QD_NEED(mapCodes, 256);
  QD_NEED(codes, blocks);
  QD_NEED(nestedAbsmax, groups);
  QD_NEED(offset, 1);
  double sum = 0;
  for (Size i = 0; i < blocks; i++) sum += static_cast<double>(absmax.data[i]);
  const float mean = static_cast<float>(sum / static_cast<double>(blocks));
  offset.data[0] = mean;
  const int parts = threads.partsFor(static_cast<double>(blocks), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(groups, parts, part);
    for (Size group = range.begin; group < range.end; group++) {
      const Size from = group * NESTED_BLOCK;
      packGroup(absmax.data + from, smaller(NESTED_BLOCK, blocks - from), mean, limits.data, mapCodes.data,
                codes.data + from, nestedAbsmax.data[group]);
    }
  });
  return ok();
}

}  // namespace
QD_EXPORT(quantizeScales)
}  // namespace qdylora::QD_LEVEL
