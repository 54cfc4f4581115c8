#pragma once
#include "amx.h"

// C[rows][cols] = A·B (or += A·B) on tiles that live in the first caches. Operands are words: floats, or
// pairs of bf16 numbers that are adjacent along the depth (BF16_PAIRS). A is read by single words
// at any two strides; B and C have rows of whole vectors. One block keeps R × 2 vectors of sums in registers:
// 6 × 2 of 16 registers (12 FMAs to 2 loads and 6 broadcasts), 8 × 2 of AVX-512's 32: enough for the latency,
// and a divisor of the tiles' sizes. Every sum runs over the depth in rising order, one operation a word, so
// a number does not depend on how rows and columns are cut into blocks.
namespace qdylora::QD_LEVEL {

template <class Word>
struct TileLeft {
  const Word* at;
  Size rowStride;    // words from one row to the next
  Size depthStride;  // words from one step of the depth to the next
};
template <class Word>
struct TileRight {
  const Word* at;
  Size stride;
};
struct TileSums {
  float* at;
  Size stride;
};

QD_INLINE F32x addProduct(F32x sum, float left, const float* right) {
  return fma(all(left), load(right), sum);
}
QD_INLINE F32x addProduct(F32x sum, std::int32_t left, const std::int32_t* right) {
  return addPairs(sum, allI32(left), loadI32(right));
}

// What becomes of C: replaced, added to, or multiplied by a factor per column and added to.
enum class Sums { set, add, scale };

// Loops that are unrolled keep the sums in registers: no copy on the stack.
template <int R, int C, Sums START, class Word>
void tileBlock(TileSums c, TileLeft<Word> a, TileRight<Word> b, int depth, const float* factor) {
  F32x sum[R][C];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 2
    for (int j = 0; j < C; j++) {
      const float* at = c.at + static_cast<Size>(r) * c.stride + j * WIDTH;
      if constexpr (START == Sums::set)
        sum[r][j] = F32x{};
      else if constexpr (START == Sums::add)
        sum[r][j] = load(at);
      else
        sum[r][j] = load(at) * load(factor + j * WIDTH);
    }
  }
  for (; depth > 0; depth--, b.at += b.stride, a.at += a.depthStride) {
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 2
      for (int j = 0; j < C; j++)
        sum[r][j] = addProduct(sum[r][j], a.at[static_cast<Size>(r) * a.rowStride], b.at + j * WIDTH);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 2
    for (int j = 0; j < C; j++) store(c.at + static_cast<Size>(r) * c.stride + j * WIDTH, sum[r][j]);
  }
}

// Rows that are left over go by 4, 2 and 1.
template <int R, int C, Sums START, class Word>
void tileStrip(TileSums c, TileLeft<Word> a, TileRight<Word> b, int rows, int depth, const float* factor) {
  for (; rows >= R; rows -= R, c.at += R * c.stride, a.at += R * a.rowStride)
    tileBlock<R, C, START>(c, a, b, depth, factor);
  if constexpr (R > 1) {
    if (rows > 0) tileStrip<(R > 4 ? 4 : R / 2), C, START>(c, a, b, rows, depth, factor);
  }
}

// Rows of a block of sums that stays in registers.
#if defined(__AVX512F__)
constexpr int REGISTER_ROWS = 8;
#else
constexpr int REGISTER_ROWS = 6;
#endif

#if defined(QD_TILES)
template <int HIGH, int WIDE, Sums START>
__attribute__((noinline)) void amxBlock(TileSums c, const TileOperand& a, const TileOperand& b, Size words) {
  QD_TILE_FENCE;
  if (START == Sums::set)
    clearTiles<HIGH, WIDE>();
  else
    loadTiles<HIGH, WIDE>(c.at, c.stride * 4, AMX_ROWS * c.stride * 4);
  addTileProducts<HIGH, WIDE, Stream::none>(a, b, words, [] {});
  storeTiles<HIGH, WIDE>(c.at, c.stride * 4);
  QD_TILE_FENCE;
}

// In tile registers, inside the life of a TileRegisters: rows, columns and depth are multiples of 16, and the
// left operand's words are adjacent along the depth.
template <Sums START>
void amxProduct(TileSums c, TileLeft<std::int32_t> a, TileRight<std::int32_t> b, int rows, int cols,
                int depth, const float* factor) {
  constexpr Size ROWS = 2 * AMX_ROWS;
  constexpr Size STEP = 4 * AMX_WORDS;
  for (int r = 0; START == Sums::scale && r < rows; r++) {
    for (int j = 0; j < cols; j += WIDTH)
      store(c.at + static_cast<Size>(r) * c.stride + j,
            load(c.at + static_cast<Size>(r) * c.stride + j) * load(factor + j));
  }
  constexpr Sums FROM = START == Sums::set ? Sums::set : Sums::add;
  const Size row = a.rowStride * 4;
  const Size step = b.stride * STEP;
  for (int j = 0; j < cols; j += 2 * WIDTH) {
    for (Size r = 0; r < static_cast<Size>(rows); r += ROWS) {
      const TileSums to{c.at + r * c.stride + j, c.stride};
      const TileOperand left{a.at + r * a.rowStride, row, AMX_ROWS * row, STEP},
          right{b.at + j, b.stride * 4, 64, step};
      const bool high = r + AMX_ROWS < static_cast<Size>(rows);
      const bool wide = j + WIDTH < cols;
      const Size words = static_cast<Size>(depth);
      if (high && wide)
        amxBlock<2, 2, FROM>(to, left, right, words);
      else if (high)
        amxBlock<2, 1, FROM>(to, left, right, words);
      else if (wide)
        amxBlock<1, 2, FROM>(to, left, right, words);
      else
        amxBlock<1, 1, FROM>(to, left, right, words);
    }
  }
}
#endif

// `cols` is a multiple of WIDTH. `factor`: what each column's old sum is multiplied by, for Sums::scale.
template <Sums START, class Word>
void tileProduct(TileSums c, TileLeft<Word> a, TileRight<Word> b, int rows, int cols, int depth,
                 const float* factor = nullptr) {
#if defined(QD_TILES)
  if constexpr (!__is_same(Word, float)) return amxProduct<START>(c, a, b, rows, cols, depth, factor);
#endif
  int j = 0;
  for (; j + 2 * WIDTH <= cols; j += 2 * WIDTH)
    tileStrip<REGISTER_ROWS, 2, START>({c.at + j, c.stride}, a, {b.at + j, b.stride}, rows, depth,
                                       factor + (START == Sums::scale ? j : 0));
  if (j < cols)
    tileStrip<8, 1, START>({c.at + j, c.stride}, a, {b.at + j, b.stride}, rows, depth,
                           factor + (START == Sums::scale ? j : 0));
}

}  // namespace qdylora::QD_LEVEL
