// absmax[b] = max |values| of block b; code = nearest level to value / absmax, the lower one on a limit; two codes a byte, high nibble first. Equal bytes to the reference.
// Each thread owns whole blocks, each lane one value: the code is the sum, over the 15 limits below the value, of the step to the next level's code.
// Reads a block twice (the second time from the first cache), 4.6 bytes moved per value for 45 comparing operations: bound by arithmetic.
// Assumes levels: [16] in any order and an even block size that is a multiple of 32; the binding reads quantizeBlockwiseBadBlock, which finds NaN and ∞.
// Not done: a binary search by four look-ups; 0.66 G weights/s on one busy Zen 3 core is enough for a step that runs once per model.
#include "../../native/simd.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr int CHUNK = 32;
constexpr double GRAIN = 16384;
// bitsandbytes' floor for a divisor: 1 / 1e-38 is still finite.
constexpr float SMALLEST_DIVISOR = 1e-38f;
constexpr std::int32_t INFINITY_BITS = 0x7f800000;

// Limits between neighbouring levels, rising, and how the code changes at each.
struct Search { float limits[15]; std::int32_t steps[15], firstCode; };

Search searchOf(const float* levels) {
  std::int32_t order[16];
  for (int code = 0; code < 16; code++) {  // insertion sort: equal levels keep the order of their codes
    int at = code;
    for (; at > 0 && levels[order[at - 1]] > levels[code]; at--) order[at] = order[at - 1];
    order[at] = code;
  }
  Search search;
  search.firstCode = order[0];
  for (int i = 0; i < 15; i++) {
    search.limits[i] = static_cast<float>((static_cast<double>(levels[order[i]]) + static_cast<double>(levels[order[i + 1]])) / 2);
    search.steps[i] = order[i + 1] - order[i];
  }
  return search;
}

QD_INLINE I32x codesOf(const Search& search, F32x x) {
  I32x code = allI32(search.firstCode);
  for (int i = 0; i < 15; i++) code = code + ((x > all(search.limits[i])) & allI32(search.steps[i]));
  return code;
}

// 32 values → 16 bytes. FULL blocks multiply by the rounded reciprocal, a short one divides, as bitsandbytes' CPU code does.
template <bool FULL>
QD_INLINE void packChunk(const Search& search, const float* values, float factor, std::uint8_t* packed) {
  std::int32_t codes[CHUNK];
  for (int i = 0; i < CHUNK; i += WIDTH) {
    const F32x x = load(values + i);
    storeI32(codes + i, codesOf(search, FULL ? x * factor : x / factor));
  }
  for (int i = 0; i < CHUNK / 2; i++) packed[i] = static_cast<std::uint8_t>(codes[2 * i] << 4 | codes[2 * i + 1]);
}

// The largest magnitude's bits: without the sign, floats rise as their bits do, and NaN is above ∞.
QD_INLINE std::int32_t largestBits(const float* values, Size count) {
  I32x most{};
  Size i = 0;
  for (; i + WIDTH <= count; i += WIDTH) {
    const I32x bits = asI32(load(values + i)) & 0x7fffffff;
    most = bits > most ? bits : most;
  }
  std::int32_t largest = 0;
  for (int lane = 0; lane < WIDTH; lane++) largest = larger(largest, most[lane]);
  for (; i < count; i++) largest = larger(largest, __builtin_bit_cast(std::int32_t, values[i]) & 0x7fffffff);
  return largest;
}

void packBlock(const Search& search, const float* values, Size count, Size blockSize, float absmax, std::uint8_t* packed) {
  const float divisor = larger(absmax, SMALLEST_DIVISOR), reciprocal = 1.f / divisor;
  if (count == blockSize) {
    for (Size i = 0; i < count; i += CHUNK) packChunk<true>(search, values + i, reciprocal, packed + i / 2);
    return;
  }
  for (Size i = 0; i < count; i += CHUNK) {  // the rest of the last chunk is zeros, whose code is the padding of an odd count
    float padded[CHUNK] = {};
    std::uint8_t bytes[CHUNK / 2];
    const Size n = smaller<Size>(CHUNK, count - i);
    for (Size j = 0; j < n; j++) padded[j] = values[i + j];
    packChunk<false>(search, padded, divisor, bytes);
    for (Size j = 0; j < (n + 1) / 2; j++) packed[i / 2 + j] = bytes[j];
  }
}

Status quantizeBlockwise(Threads& threads, In<float> values, In<float> levels, Out<std::uint8_t> codes, Out<float> absmax, Size count, Size blockSize) {
  QD_NEED(values, count);
  QD_NEED(levels, 16);
  QD_NEED(codes, (count + 1) / 2);
  if (blockSize == 0 || blockSize % CHUNK) return unsupported("expected a multiple of 32 for the block size");
  const Size blocks = (count + blockSize - 1) / blockSize;
  QD_NEED(absmax, blocks);
  const Search search = searchOf(levels.data);
  const int parts = threads.partsFor(static_cast<double>(count), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(blocks, parts, part);
    for (Size block = range.begin; block < range.end; block++) {
      const Size from = block * blockSize, n = smaller(blockSize, count - from);
      const float largest = __builtin_bit_cast(float, largestBits(values.data + from, n));
      absmax.data[block] = largest;
      packBlock(search, values.data + from, n, blockSize, largest, codes.data + from / 2);
    }
  });
  return ok();
}

// The first block whose absmax is NaN or infinite, or `blocks` where there is none.
Size quantizeBlockwiseBadBlock(In<float> absmax, Size blocks) {
  for (Size block = 0; block < smaller(blocks, absmax.size); block++) if (__builtin_bit_cast(std::int32_t, absmax.data[block]) >= INFINITY_BITS) return block;
  return blocks;
}

}  // namespace
QD_EXPORT(quantizeBlockwise)
QD_EXPORT(quantizeBlockwiseBadBlock)
}  // namespace qdylora::QD_LEVEL
