#pragma once
#include "../simd.h"

// A 4-bit matrix as kernels see it. A weight is levels[code] · scale(block), rounded once to f32. Element i is the high nibble of byte i/2 for even i.
namespace qdylora::QD_LEVEL {

// Blocks of the second level that share one scale; quant/src/double-quantize.ts.
constexpr Size NESTED_BLOCK = 256;

struct Nf4Weight {
  const std::uint8_t* codes;
  const float* levels;              // [16]
  const float* absmax;              // [blocks], or nullptr: then the next three
  const std::uint8_t* absmaxCodes;  // [blocks]
  const float* nestedAbsmax;        // [ceil(blocks / 256)]
  const float* nestedMap;           // [256]
  float nestedOffset;
  Size rows, cols, blockSize;

  QD_INLINE float scale(Size block) const {
    if (absmax) return absmax[block];
    const float difference = nestedMap[absmaxCodes[block]] * nestedAbsmax[block / NESTED_BLOCK];
    return difference + nestedOffset;
  }
  // Any element; the slow way, for matrices whose blocks straddle rows.
  QD_INLINE float at(Size row, Size col) const {
    const Size i = row * cols + col;
    const std::uint8_t pair = codes[i / 2];
    return levels[i % 2 ? pair & 15 : pair >> 4] * scale(i / blockSize);
  }
  // True where every row begins a block, so also a byte.
  QD_INLINE bool rowsBeginBlocks() const { return cols % blockSize == 0; }
};

// The arrays of a packed weight as they come from JavaScript; an adapted layer may hold a dense weight instead, so all are optional there.
struct Nf4Arrays { OptionalIn<std::uint8_t> codes; OptionalIn<float> levels, absmax; OptionalIn<std::uint8_t> absmaxCodes; OptionalIn<float> nestedAbsmax, nestedMap; };

QD_INLINE Status checkNf4(const Nf4Arrays& a, Size rows, Size cols, Size blockSize) {
  if (blockSize == 0 || blockSize % 8) return unsupported("expected a block size that is a multiple of 8");
  const Size blocks = (rows * cols + blockSize - 1) / blockSize;
  QD_NEED(a.codes, (rows * cols + 1) / 2);
  QD_NEED(a.levels, 16);
  if (a.absmax.data) { QD_NEED(a.absmax, blocks); return ok(); }
  QD_NEED(a.absmaxCodes, blocks);
  QD_NEED(a.nestedAbsmax, (blocks + NESTED_BLOCK - 1) / NESTED_BLOCK);
  QD_NEED(a.nestedMap, 256);
  return ok();
}

QD_INLINE Nf4Weight nf4Weight(const Nf4Arrays& a, Size rows, Size cols, Size blockSize, float nestedOffset) {
  return {a.codes.data, a.levels.data, a.absmax.data, a.absmaxCodes.data, a.nestedAbsmax.data, a.nestedMap.data, nestedOffset, rows, cols, blockSize};
}

}  // namespace qdylora::QD_LEVEL
