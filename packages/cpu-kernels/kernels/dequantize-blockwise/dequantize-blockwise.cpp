// Computes: values[i] = fl(levels[code i] · scale of its block), rounded to bfloat16 where asked; scale =
//   absmax, or fl(fl(nestedMap[absmaxCodes] · nestedAbsmax) + nestedOffset). The same bits as the reference.
// Owners: a thread owns whole blocks. The 16 levels are multiplied by the block's scale once and then looked
//   up, one lane per value (to bf16 with AVX-512: 64 values at a time in lanes of 16 bits).
// Cost: reads 0.5 to 0.6 and writes 4 (bf16: 2) bytes per value: bound by the bandwidth of stores. Arrays
//   that do not fit the second-level cache are written past it: 25 GB/s a core to memory instead of 10
//   (Granite Rapids, 2026).
// Assumes: an even block size, so that a block begins with a byte. Lengths are checked below.
// Dropped: the table of products in memory: 13 cycles per vector of 16, half of them waiting for the stores
//   (Zen 4). Not done: multiplying after the look-up: the same bits, one more operation per vector.
#include "../../native/gemm/nf4-runs.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr double GRAIN = 32768;

// WIDTH / 2 bytes → the indices of WIDTH values; only the lower four bits of a lane count (Table16).
QD_INLINE I32x indicesAt(const std::uint8_t* packed) {
  const U64x bytes = __builtin_convertvector(*reinterpret_cast<const U8HalfUnaligned*>(packed), U64x);
  return (I32x)((bytes >> 4) | (bytes << 32));
}

template <bool PAST>
QD_INLINE void storeValues(float* values, F32x v) {
  storeLine(values, asI32(v), PAST);
}
template <bool PAST>
QD_INLINE void storeValues(BFloat16* values, F32x v) {
  storeRounded(values, roundToBf16(v));
}
QD_INLINE void storeValue(float* value, float v) { *value = v; }
QD_INLINE void storeValue(BFloat16* value, float v) {
  *value = static_cast<BFloat16>(__builtin_bit_cast(std::uint32_t, roundToBf16(v)) >> 16);
}

#if defined(__AVX512BW__) && QD_WIDTH == 16
// 64 values from 32 bytes.
template <bool PAST>
QD_INLINE void decodeRun(const std::uint8_t* packed, const float* levels, float scale, BFloat16* values) {
  const __m512i rounded = (__m512i)roundToBf16(load(levels) * scale);
  I32x low, high;
  lookUpRun(packed, _mm512_broadcast_i64x4(_mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16))), low, high);
  storeLine(values, low, PAST);
  storeLine(values + 32, high, PAST);
}
#endif

template <bool PAST, class T>
QD_INLINE void decodeBlock(const std::uint8_t* packed, const float* levels, const Table16& table, float scale,
                           Size count, T* values) {
  Size i = 0;
#if defined(__AVX512BW__) && QD_WIDTH == 16
  if constexpr (sizeof(T) == 2)
    for (; i + RUN <= count; i += RUN) decodeRun<PAST>(packed + i / 2, levels, scale, values + i);
#endif
  float room[16];
  const Table16 scaled = table.times(scale, room);
  for (; i + WIDTH <= count; i += WIDTH) storeValues<PAST>(values + i, scaled.at(indicesAt(packed + i / 2)));
  for (; i < count; i++) storeValue(values + i, levels[packed[i / 2] >> (i & 1 ? 0 : 4) & 15] * scale);
}

// Blocks are whole runs where values go past the caches.
template <class T>
bool goesPast(const T* values, Size count, Size blockSize) {
  return blockSize % RUN == 0 && leavesCaches(values, count, blockSize);
}

Status dequantizeBlockwise(Threads& threads, In<std::uint8_t> codes, In<float> levels,
                           OptionalIn<float> absmax, OptionalIn<std::uint8_t> absmaxCodes,
                           OptionalIn<float> nestedAbsmax, OptionalIn<float> nestedMap,
                           OptionalOut<float> values, OptionalOut<BFloat16> halves, Size count,
                           Size blockSize, float nestedOffset, Size tileColumns) {
  QD_NEED(codes, (count + 1) / 2);
  QD_NEED(levels, 16);
  QD_NEED_IF_GIVEN(values, count);
  QD_NEED_IF_GIVEN(halves, count);
  if (!values.data == !halves.data) return unsupported("there must be either float32 or bfloat16 values");
  if (blockSize == 0 || blockSize % 2) return unsupported("the block size must be even");
  const Size blocks = (count + blockSize - 1) / blockSize;
  if (tileColumns && count % times(tileColumns, TILE_HEIGHT, blockSize))
    return unsupported("the matrix must have whole tiles");
  QD_NEED_IF_GIVEN(absmax, blocks);
  if (!absmax.data) {
    if (!absmaxCodes.data || !nestedAbsmax.data || !nestedMap.data)
      return unsupported("the scales must be either absmax or the three arrays of double quantization");
    QD_NEED(absmaxCodes, blocks);
    QD_NEED(nestedAbsmax, (blocks + NESTED_BLOCK - 1) / NESTED_BLOCK);
    QD_NEED(nestedMap, 256);
  }
  const int parts = threads.partsFor(static_cast<double>(count), GRAIN);
  const bool past =
      values.data ? goesPast(values.data, count, blockSize) : goesPast(halves.data, count, blockSize);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(blocks, parts, part);
    const Table16 table(levels.data);
    for (Size block = range.begin; block < range.end; block++) {
      const Size from = block * blockSize;
      const Size place = tileColumns ? placeInTiles(block, tileColumns) : block;  // of its codes and scale
      const Size n = smaller(blockSize, count - from);
      const float scale =
          absmax.data ? absmax.data[place]
                      : nestedMap.data[absmaxCodes.data[place]] * nestedAbsmax.data[block / NESTED_BLOCK] +
                            nestedOffset;
      const std::uint8_t* packed = codes.data + place * blockSize / 2;
      const auto decode = [&](auto* to) {
        past ? decodeBlock<true>(packed, levels.data, table, scale, n, to)
             : decodeBlock<false>(packed, levels.data, table, scale, n, to);
      };
      values.data ? decode(values.data + from) : decode(halves.data + from);
    }
    if (past) streamFence();
  });
  return ok();
}

}  // namespace
QD_EXPORT(dequantizeBlockwise)
}  // namespace qdylora::QD_LEVEL
