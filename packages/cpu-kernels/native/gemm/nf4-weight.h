#pragma once
#include "../simd.h"

// A 4-bit matrix as kernels see it. A weight is levels[code] · scale(block), rounded once to f32. Element i
// is the high nibble of byte i/2 for even i.
namespace qdylora::QD_LEVEL {

// Blocks of the second level that share one scale; quant/src/blocks/double-quantize.ts.
constexpr Size NESTED_BLOCK = 256;
// bitsandbytes' floor for the divisor of a block: 1 / 1e-38 is still finite.
constexpr float SMALLEST_DIVISOR = 1e-38f;
// Columns that are decoded together, and the tiles that codes may be arranged in;
// quant/src/matrix/tile-order.ts.
constexpr Size RUN = 64;
constexpr Size TILE_HEIGHT = 32;
constexpr Size NF4_TILE_BYTES = TILE_HEIGHT * RUN / 2;

// The place of block `block`, in row-major order, among the blocks of a matrix in tiles, `columns` blocks
// wide.
QD_INLINE Size placeInTiles(Size block, Size columns) {
  const Size row = block / columns;
  return (row / TILE_HEIGHT * columns + block % columns) * TILE_HEIGHT + row % TILE_HEIGHT;
}

// Into the first cache (LOCALITY 3) or the second (2).
template <int LOCALITY>
QD_INLINE void prefetchTile(const std::uint8_t* codes) {
  for (Size line = 0; line < NF4_TILE_BYTES; line += 64) __builtin_prefetch(codes + line, 0, LOCALITY);
}

struct Nf4Weight {
  const std::uint8_t* codes;
  const float* levels;              // [16]
  const float* absmax;              // [blocks], or nullptr: then the next three
  const std::uint8_t* absmaxCodes;  // [blocks]
  const float* nestedAbsmax;        // [ceil(blocks / 256)]
  const float* nestedMap;           // [256]
  float nestedOffset;
  Size rows, cols, blockSize;
  bool tiled;  // codes and their scales are in tiles of TILE_HEIGHT rows × RUN columns

  // The scale at place `place` of the arrays, of the block that is number `block` in row-major order.
  QD_INLINE float scaleAt(Size place, Size block) const {
    if (absmax) return absmax[place];
    const float difference = nestedMap[absmaxCodes[place]] * nestedAbsmax[block / NESTED_BLOCK];
    return difference + nestedOffset;
  }
  // Any element; the slow way, for matrices that have no runs.
  QD_INLINE float at(Size row, Size col) const {
    const Size i = row * cols + col;
    const std::uint8_t pair = tiled ? runCodes(row, col / RUN)[col % RUN / 2] : codes[i / 2];
    return levels[i % 2 ? pair & 15 : pair >> 4] *
           (tiled ? scale(row, col / RUN) : scaleAt(i / blockSize, i / blockSize));
  }

  // True where every row is made of whole runs of RUN columns that share a scale: what the fast ways need.
  QD_INLINE bool hasRuns() const { return blockSize % RUN == 0 && cols % RUN == 0; }
  QD_INLINE Size rowRuns() const { return cols / RUN; }
  // The 32 bytes of a row in a column of runs; the rows after it, up to the next multiple of TILE_HEIGHT, are
  // rowStride() bytes apart.
  QD_INLINE const std::uint8_t* runCodes(Size row, Size run) const {
    return tiled ? codes + (row / TILE_HEIGHT * rowRuns() + run) * NF4_TILE_BYTES +
                       row % TILE_HEIGHT * (RUN / 2)
                 : codes + row * (cols / 2) + run * (RUN / 2);
  }
  QD_INLINE Size rowStride() const { return tiled ? RUN / 2 : cols / 2; }
  QD_INLINE Size block(Size row, Size run) const {
    return blockSize == RUN ? row * rowRuns() + run : (row * rowRuns() + run) * RUN / blockSize;
  }
  QD_INLINE Size scalePlace(Size row, Size run) const {
    return tiled ? (row / TILE_HEIGHT * rowRuns() + run) * TILE_HEIGHT + row % TILE_HEIGHT : block(row, run);
  }
  QD_INLINE float scale(Size row, Size run) const { return scaleAt(scalePlace(row, run), block(row, run)); }
};

// The arrays of a packed weight as they come from JavaScript; an adapted layer may hold a dense weight
// instead, so all are optional there.
struct Nf4Arrays {
  OptionalIn<std::uint8_t> codes;
  OptionalIn<float> levels, absmax;
  OptionalIn<std::uint8_t> absmaxCodes;
  OptionalIn<float> nestedAbsmax, nestedMap;
};
template <>
struct Parameter<Nf4Arrays>
    : Fields<Nf4Arrays, OptionalIn<std::uint8_t>, OptionalIn<float>, OptionalIn<float>,
             OptionalIn<std::uint8_t>, OptionalIn<float>, OptionalIn<float>> {};

QD_INLINE Status checkNf4(const Nf4Arrays& a, Size rows, Size cols, Size blockSize, bool tiled) {
  if (blockSize == 0 || blockSize % 8) return unsupported("the block size must be a multiple of 8");
  if (tiled && (blockSize != RUN || cols % RUN || rows % TILE_HEIGHT))
    return unsupported("a tiled matrix must have whole tiles of 32 rows x 64 columns and blocks of 64");
  const Size count = times(rows, cols);
  const Size blocks = count / blockSize + (count % blockSize != 0);
  QD_NEED(a.codes, count / 2 + count % 2);
  QD_NEED(a.levels, 16);
  if (a.absmax.data) {
    QD_NEED(a.absmax, blocks);
    return ok();
  }
  QD_NEED(a.absmaxCodes, blocks);
  QD_NEED(a.nestedAbsmax, (blocks + NESTED_BLOCK - 1) / NESTED_BLOCK);
  QD_NEED(a.nestedMap, 256);
  return ok();
}

QD_INLINE Nf4Weight nf4Weight(const Nf4Arrays& a, Size rows, Size cols, Size blockSize, bool tiled,
                              float nestedOffset) {
  return {a.codes.data,
          a.levels.data,
          a.absmax.data,
          a.absmaxCodes.data,
          a.nestedAbsmax.data,
          a.nestedMap.data,
          nestedOffset,
          rows,
          cols,
          blockSize,
          tiled};
}

}  // namespace qdylora::QD_LEVEL
