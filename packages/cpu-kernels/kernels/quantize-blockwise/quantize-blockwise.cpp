// Computes: absmax[b] = max |values| of block b; code = nearest level to value / absmax, the lower one on a
//   limit; two codes a byte, high nibble first. The same bytes as the reference.
// Owners: a thread owns whole blocks; a lane is one value. The place among the 15 sorted limits is a binary
//   search by four comparisons, whose limits are looked up in registers. AVX2 has no table of 16 in a
//   register, but the steps choose among 1, 2, 4 and 8 limits: three tables of 8 suffice, counted downwards,
//   since a comparison that holds is −1.
// Cost: reads a block twice, the second time from the first cache. 2.6 (bf16) or 4.6 bytes moved per value
//   for about 18 operations on a vector: bound by memory.
// Assumes: levels: [16] in any order, and a block size that is a multiple of 32. The binding reads
//   quantizeBlockwiseBadBlock, which finds NaN and ∞. Where `tileColumns` > 0, a row has so many blocks and
//   the codes are in tiles; absmax stays in row-major order.
// Dropped: a sum over all 15 limits (45 operations); AVX2 tables of 16 from two registers each with a scalar
//   store of every byte (2.4 times as slow). Not done: a table of 32 equal buckets with one limit each (5
//   operations fewer; FP4 has three limits within 1/192).
#include "../../native/gemm/nf4-weight.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr int CHUNK = 32;
constexpr double GRAIN = 16384;

// Limits between neighbouring levels, rising, and the code of each place. `after1` and `after3` are the
// limits 1 and 3 places on.
struct Sorted {
  float limits[16], after1[16], after3[16], codes[16];
};

Sorted sorted(const float* levels) {
  std::int32_t order[16];
  for (int code = 0; code < 16; code++) {  // insertion sort: equal levels keep the order of their codes
    int at = code;
    for (; at > 0 && levels[order[at - 1]] > levels[code]; at--) order[at] = order[at - 1];
    order[at] = code;
  }
  Sorted s = {};
  for (int i = 0; i < 15; i++)
    s.limits[i] = static_cast<float>(
        (static_cast<double>(levels[order[i]]) + static_cast<double>(levels[order[i + 1]])) / 2);
  for (int i = 0; i < 16; i++) {
    s.after1[i] = s.limits[smaller(i + 1, 15)];
    s.after3[i] = s.limits[smaller(i + 3, 15)];
    s.codes[i] = __builtin_bit_cast(float, order[i]);
  }
  return s;
}

#if defined(__AVX2__) && QD_WIDTH == 8
struct Search {
  // [−place & 7]: the limits of the second, third and fourth step by the place so far, which counts the
  // comparisons that held.
  __m256 middle, second, third, fourth;
  Table16 codes;
  bool inOrder;  // codes rise with the levels, as NF4's do
  explicit QD_INLINE Search(const Sorted& s)
      : middle(_mm256_set1_ps(s.limits[7])), codes(s.codes), inOrder(true) {
    float steps[3][8] = {};
    for (int place = 0; place < 8; place++) {
      if (place < 2) steps[0][-place & 7] = s.limits[8 * place + 3];
      if (place < 4) steps[1][-place & 7] = s.limits[4 * place + 1];
      steps[2][-place & 7] = s.limits[2 * place];
    }
    second = _mm256_loadu_ps(steps[0]), third = _mm256_loadu_ps(steps[1]), fourth = _mm256_loadu_ps(steps[2]);
    for (int i = 0; i < 16; i++) inOrder = inOrder && __builtin_bit_cast(std::int32_t, s.codes[i]) == i;
  }

  // The place is the number of limits below x; NaN, which callers find by its absmax, gets any.
  QD_INLINE I32x codesOf(F32x x) const {
    const auto above = [&](__m256 limit) { return x > (F32x)limit; };
    I32x place = above(middle);
    place = place + place + above(_mm256_permutevar8x32_ps(second, (__m256i)place));
    place = place + place + above(_mm256_permutevar8x32_ps(third, (__m256i)place));
    place = place + place + above(_mm256_permutevar8x32_ps(fourth, (__m256i)place));
    return inOrder ? -place : asI32(codes.at(-place));
  }
};

// CHUNK codes → CHUNK / 2 bytes, the first of a pair in the high nibble. Byte k of each even word is that of
// vector k, until the words are turned.
QD_INLINE void packCodes(const I32x (&codes)[CHUNK / WIDTH], std::uint8_t* packed) {
  U64x bytes{};
  for (int k = 0; k < CHUNK / WIDTH; k++)
    bytes = bytes | (((U64x)codes[k] << 4 | (U64x)codes[k] >> 32) & 0xff) << 8 * k;
  const __m256i even = _mm256_permutevar8x32_epi32((__m256i)bytes, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
  const __m128i turned = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(packed),
                   _mm_shuffle_epi8(_mm256_castsi256_si128(even), turned));
}
#else
struct Search {
  Table16 limits, after1, after3, codes;
  float middle;
  explicit QD_INLINE Search(const Sorted& s)
      : limits(s.limits), after1(s.after1), after3(s.after3), codes(s.codes), middle(s.limits[7]) {}

  // The place is the number of limits below x; NaN, which callers find by its absmax, gets any.
  QD_INLINE I32x codesOf(F32x x) const {
    I32x place = (x > all(middle)) & 8;
    place = place | ((x > after3.at(place)) & 4);
    place = place | ((x > after1.at(place)) & 2);
    place = place | ((x > limits.at(place)) & 1);
    return asI32(codes.at(place));
  }
};

// CHUNK codes → CHUNK / 2 bytes, the first of a pair in the high nibble.
QD_INLINE void packCodes(const I32x (&codes)[CHUNK / WIDTH], std::uint8_t* packed) {
  for (int k = 0; k < CHUNK / WIDTH; k++) {
    const U64x pairs = (U64x)codes[k];
    *reinterpret_cast<U8HalfUnaligned*>(packed + k * WIDTH / 2) =
        __builtin_convertvector((pairs << 4 | pairs >> 32) & 0xff, U8Half);
  }
}
#endif

QD_INLINE F32x loadValues(const float* p) { return load(p); }
QD_INLINE F32x loadValues(const BFloat16* p) { return loadBf16(p); }
QD_INLINE float valueAt(const float* p) { return *p; }
QD_INLINE float valueAt(const BFloat16* p) { return fromBf16(*p); }

// The largest magnitude's bits: without the sign, floats rise as their bits do, and NaN is above ∞.
template <class T>
QD_INLINE std::int32_t largestBits(const T* values, Size count) {
  I32x most{};
  Size i = 0;
  for (; i + WIDTH <= count; i += WIDTH) {
    const I32x bits = asI32(loadValues(values + i)) & 0x7fffffff;
    most = bits > most ? bits : most;
  }
  std::int32_t largest = largestOf(most);
  for (; i < count; i++)
    largest = larger(largest, __builtin_bit_cast(std::int32_t, valueAt(values + i)) & 0x7fffffff);
  return largest;
}

// Whole blocks multiply by the rounded reciprocal, a short one divides, as bitsandbytes' CPU code does.
template <class T>
QD_INLINE void packBlock(const Search& search, const T* values, Size count, Size blockSize, float absmax,
                         std::uint8_t* packed) {
  const float divisor = larger(absmax, SMALLEST_DIVISOR);
  const float reciprocal = 1.f / divisor;
  I32x chunkCodes[CHUNK / WIDTH];
  if (count == blockSize) {
    for (Size i = 0; i < count; i += CHUNK) {
      for (int k = 0; k < CHUNK / WIDTH; k++)
        chunkCodes[k] = search.codesOf(loadValues(values + i + static_cast<Size>(k) * WIDTH) * reciprocal);
      packCodes(chunkCodes, packed + i / 2);
    }
    return;
  }
  // the rest of the last chunk is zeros, whose code is the padding of an odd count
  for (Size i = 0; i < count; i += CHUNK) {
    float padded[CHUNK] = {};
    std::uint8_t bytes[CHUNK / 2];
    const Size n = smaller<Size>(CHUNK, count - i);
    for (Size j = 0; j < n; j++) padded[j] = valueAt(values + i + j);
    for (int k = 0; k < CHUNK / WIDTH; k++)
      chunkCodes[k] = search.codesOf(load(padded + k * WIDTH) / divisor);
    packCodes(chunkCodes, bytes);
    for (Size j = 0; j < (n + 1) / 2; j++) packed[i / 2 + j] = bytes[j];
  }
}

template <class T>
void quantize(Threads& threads, const T* values, const float* levels, std::uint8_t* codes, float* absmax,
              Size count, Size blockSize, Size tileColumns) {
  const Sorted table = sorted(levels);
  const Size blocks = (count + blockSize - 1) / blockSize;
  const int parts = threads.partsFor(static_cast<double>(count), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(blocks, parts, part);
    const Search search(table);
    for (Size block = range.begin; block < range.end; block++) {
      const Size from = block * blockSize;
      const Size n = smaller(blockSize, count - from);
      const float largest = __builtin_bit_cast(float, largestBits(values + from, n));
      absmax[block] = largest;
      const Size place = tileColumns ? placeInTiles(block, tileColumns) : block;
      packBlock(search, values + from, n, blockSize, largest, codes + place * blockSize / 2);
    }
  });
}

Status quantizeBlockwise(Threads& threads, Dense values, In<float> levels, Out<std::uint8_t> codes,
                         Out<float> absmax, Size count, Size blockSize, Size tileColumns) {
  QD_NEED(values, count);
  QD_NEED(levels, 16);
  QD_NEED(codes, (count + 1) / 2);
  if (blockSize == 0 || blockSize % CHUNK) return unsupported("the block size must be a multiple of 32");
  if (tileColumns && count % times(tileColumns, TILE_HEIGHT, blockSize))
    return unsupported("the matrix must have whole tiles");
  QD_NEED(absmax, (count + blockSize - 1) / blockSize);
  if (values.f32)
    quantize(threads, values.f32, levels.data, codes.data, absmax.data, count, blockSize, tileColumns);
  else
    quantize(threads, values.bf16, levels.data, codes.data, absmax.data, count, blockSize, tileColumns);
  return ok();
}

// The first block whose absmax is NaN or infinite, or `blocks` where there is none.
Size quantizeBlockwiseBadBlock(In<float> absmax, Size blocks) {
  for (Size block = 0; block < smaller(blocks, absmax.size); block++)
    if (__builtin_bit_cast(std::int32_t, absmax.data[block]) >= INFINITY_BITS) return block;
  return blocks;
}

}  // namespace
QD_EXPORT(quantizeBlockwise)
QD_EXPORT(quantizeBlockwiseBadBlock)
}  // namespace qdylora::QD_LEVEL
