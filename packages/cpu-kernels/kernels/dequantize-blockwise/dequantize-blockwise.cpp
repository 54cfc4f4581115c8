// values[i] = fl(levels[code i] · scale of its block), rounded to bfloat16 where that is wanted; scale = absmax, or fl(fl(nestedMap[absmaxCodes] · nestedAbsmax) + nestedOffset). Equal bits to the reference.
// Each thread owns whole blocks; the 16 levels are multiplied by the block's scale once and then looked up, a lane per value.
// Reads 0.5 to 0.6 and writes 4 (2) bytes per value: bound by the bandwidth of stores.
// Assumes an even block size, so that a block begins with a byte; lengths are checked below.
// Dropped: the table of products by way of memory (13 cycles per vector of 16 on Zen 4, half of it waiting for what was stored). Not done: multiplying after the look-up (one more operation per vector; the same bits).
#include "../../native/gemm/nf4-weight.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr double GRAIN = 32768;

typedef std::uint64_t U64x __attribute__((vector_size(4 * QD_WIDTH)));
typedef std::uint8_t U8Half __attribute__((vector_size(QD_WIDTH / 2)));
typedef U8Half U8HalfUnaligned __attribute__((aligned(1), may_alias));

// WIDTH / 2 bytes → the indices of WIDTH values; only the lower four bits of a lane count (Table16).
QD_INLINE I32x indicesAt(const std::uint8_t* packed) {
  const U64x bytes = __builtin_convertvector(*reinterpret_cast<const U8HalfUnaligned*>(packed), U64x);
  return (I32x)((bytes >> 4) | (bytes << 32));
}

QD_INLINE void storeValues(float* values, F32x v) { store(values, v); }
QD_INLINE void storeValues(BFloat16* values, F32x v) { storeRounded(values, roundToBf16(v)); }
QD_INLINE void storeValue(float* value, float v) { *value = v; }
QD_INLINE void storeValue(BFloat16* value, float v) { *value = static_cast<BFloat16>(__builtin_bit_cast(std::uint32_t, roundToBf16(v)) >> 16); }

template <class T>
QD_INLINE void decodeBlock(const std::uint8_t* packed, const float* levels, const Table16& table, float scale, Size count, T* values) {
  float room[16];
  const Table16 scaled = table.times(scale, room);
  Size i = 0;
  for (; i + WIDTH <= count; i += WIDTH) storeValues(values + i, scaled.at(indicesAt(packed + i / 2)));
  for (; i < count; i++) storeValue(values + i, levels[packed[i / 2] >> (i & 1 ? 0 : 4) & 15] * scale);
}

Status dequantizeBlockwise(Threads& threads, In<std::uint8_t> codes, In<float> levels, OptionalIn<float> absmax, OptionalIn<std::uint8_t> absmaxCodes, OptionalIn<float> nestedAbsmax,
                           OptionalIn<float> nestedMap, OptionalOut<float> values, OptionalOut<BFloat16> halves, Size count, Size blockSize, float nestedOffset, Size tileColumns) {
  QD_NEED(codes, (count + 1) / 2);
  QD_NEED(levels, 16);
  QD_NEED_IF_GIVEN(values, count);
  QD_NEED_IF_GIVEN(halves, count);
  if (!values.data == !halves.data) return unsupported("expected either float32 or bfloat16 values");
  if (blockSize == 0 || blockSize % 2) return unsupported("expected an even block size");
  const Size blocks = (count + blockSize - 1) / blockSize;
  if (tileColumns && count % (tileColumns * TILE_HEIGHT * blockSize)) return unsupported("expected whole tiles");
  QD_NEED_IF_GIVEN(absmax, blocks);
  if (!absmax.data) {
    if (!absmaxCodes.data || !nestedAbsmax.data || !nestedMap.data) return unsupported("expected either absmax or the three arrays of double quantization");
    QD_NEED(absmaxCodes, blocks);
    QD_NEED(nestedAbsmax, (blocks + NESTED_BLOCK - 1) / NESTED_BLOCK);
    QD_NEED(nestedMap, 256);
  }
  // Where a block's codes and scale stand: quant/src/tile-order.ts.
  const auto placeOf = [&](Size block) {
    if (tileColumns == 0) return block;
    const Size row = block / tileColumns;
    return (row / TILE_HEIGHT * tileColumns + block % tileColumns) * TILE_HEIGHT + row % TILE_HEIGHT;
  };
  const int parts = threads.partsFor(static_cast<double>(count), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(blocks, parts, part);
    const Table16 table(levels.data);
    for (Size block = range.begin; block < range.end; block++) {
      const Size from = block * blockSize, place = placeOf(block), n = smaller(blockSize, count - from);
      const float scale = absmax.data ? absmax.data[place] : nestedMap.data[absmaxCodes.data[place]] * nestedAbsmax.data[block / NESTED_BLOCK] + nestedOffset;
      const std::uint8_t* packed = codes.data + place * blockSize / 2;
      if (values.data) decodeBlock(packed, levels.data, table, scale, n, values.data + from);
      else decodeBlock(packed, levels.data, table, scale, n, halves.data + from);
    }
  });
  return ok();
}

}  // namespace
QD_EXPORT(dequantizeBlockwise)
}  // namespace qdylora::QD_LEVEL
