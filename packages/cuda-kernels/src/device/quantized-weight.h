// A 4-bit weight as kernels read it: codes, levels, and scales that are plain or doubly quantized.
#pragma once
#include "element.h"

constexpr int CODES_OF_WORD = 8;
constexpr int NESTED_BLOCK = 256;
constexpr int TILE_ROWS = 32;
constexpr int LEVELS = 16;

// Where the codes and the scale of a block of values are, counted in blocks; nestedAbsmax stays row-major.
// Rows of `tileColumns` blocks are in tiles of 32 rows (tile-order.ts of quant); 0: row-major.
__device__ inline Size pieceOf(Size block, unsigned tileColumns) {
  if (tileColumns == 0) return block;
  const Size row = block / tileColumns;
  const Size column = block % tileColumns;
  return (row / TILE_ROWS * tileColumns + column) * TILE_ROWS + row % TILE_ROWS;
}

// The first `count` of eight codes, from a whole byte on, in the order of memory.
__device__ inline unsigned loadCodes(const unsigned char* codes, int count) {
  unsigned packed = 0;
  if (count == CODES_OF_WORD && reinterpret_cast<Size>(codes) % 4 == 0)
    packed = *reinterpret_cast<const unsigned*>(codes);
  else
    for (int i = 0; i < (count + 1) / 2; i++) packed |= static_cast<unsigned>(codes[i]) << 8 * i;
  return packed;
}

// Code i of eight: the high nibble of a byte is first.
__device__ inline unsigned codeAt(unsigned packed, int i) {
  return packed >> (8 * (i / 2) + (i % 2 ? 0 : 4)) & 15u;
}

struct PlainScales {
  const float* absmax;
  __device__ float of(Size piece, Size) const { return absmax[piece]; }
};

// fl(fl(nestedMap[code] · nestedAbsmax) + nestedOffset)
struct NestedScales {
  const unsigned char* absmaxCodes;
  const float* nestedAbsmax;
  const float* nestedMap;
  float nestedOffset;
  __device__ float of(Size piece, Size block) const {
    const float scale = __fmul_rn(nestedMap[absmaxCodes[piece]], nestedAbsmax[block / NESTED_BLOCK]);
    return __fadd_rn(scale, nestedOffset);
  }
};
