#pragma once
#include "tiles.h"

// Columns as operands of attention's products, in words: floats, read in place, or pairs of bf16 numbers,
// packed for each tile. Keys and values: packed-keys.h.
namespace qdylora::QD_LEVEL {

template <class Word>
constexpr int PER_WORD = __is_same(Word, float) ? 1 : 2;
template <class Word>
constexpr bool IS_PAIR = PER_WORD<Word> == 2;
// Words along headDim, and the length of a packed row of them.
template <class Word>
Size depthWords(const AttentionShape& shape) {
  if constexpr (AMX_TILES && IS_PAIR<Word>)
    return roundUp((shape.headDim + 1) / 2, static_cast<int>(AMX_WORDS));
  return (shape.headDim + PER_WORD<Word> - 1) / PER_WORD<Word>;
}
template <class Word>
Size rowWords(const AttentionShape& shape) {
  return roundUp(depthWords<Word>(shape), WIDTH);
}

// Numbers of either type: one pointer is set.
struct Numbers {
  const float* f32;
  const BFloat16* half;
  QD_INLINE Numbers operator+(Size n) const {
    return f32 ? Numbers{f32 + n, nullptr} : Numbers{nullptr, half + n};
  }
};
struct Results {
  float* f32;
  BFloat16* half;
};
QD_INLINE void storeFirst(const Results& to, Size at, F32x v, int n) {
  to.f32 ? storeFirst(to.f32 + at, v, n) : storeFirst(to.half + at, v, n);
}

QD_INLINE F32x loadUpTo(Numbers row, Size from, Size end) {
  const int n = static_cast<int>(smaller<Size>(WIDTH, end - from));
  return from >= end ? F32x{} : row.f32 ? loadFirst(row.f32 + from, n) : loadFirst(row.half + from, n);
}

// Prefetches the rows of columns, which are far apart, a few cache lines at a time while something else is
// computed.
class ColumnPrefetcher {
 public:
  ColumnPrefetcher(const AttentionShape& shape, const ColumnTile* c, bool half)
      : columns_(c), headDim_(shape.headDim), line_(half ? 32 : 16) {}
  // The next `lines` lines of each array, if so many are left.
  template <class... A>
  QD_INLINE void step(int lines, const A&... arrays) {
    if (!columns_) return;
    for (; lines > 0 && column_ < columns_->count; lines--) {
      const Size at = columns_->offset[column_] + at_;
      (prefetch(arrays, at), ...);
      at_ += line_;
      if (at_ >= headDim_) {
        at_ = 0;
        column_++;
      }
    }
  }

 private:
  static QD_INLINE void prefetch(const Numbers& x, Size at) {
    __builtin_prefetch(x.f32 ? static_cast<const void*>(x.f32 + at) : x.half + at, 0, 2);
  }
  static QD_INLINE void prefetch(const Results& x, Size at) {
    __builtin_prefetch(x.f32 ? static_cast<const void*>(x.f32 + at) : x.half + at, 1, 2);
  }
  const ColumnTile* columns_;
  Size headDim_;
  Size line_;       // numbers in a cache line
  int column_ = 0;  // the next line: its column
  Size at_ = 0;     // and its first number
};

// Words [at, at + WIDTH) of a row of `length` numbers, as bits; 0 past its end.
template <class Word>
QD_INLINE I32x wordsOfRow(Numbers row, Size at, Size length) {
  // pairs, as in memory
  if (IS_PAIR<Word> && row.half && 2 * (at + WIDTH) <= length) return loadI32(row.half + 2 * at);
  if constexpr (IS_PAIR<Word>)
    return pairsToBf16(loadUpTo(row, 2 * at, length), loadUpTo(row, 2 * at + WIDTH, length));
  else
    return asI32(loadUpTo(row, at, length));
}

// out[word][column]: the columns' numbers along headDim, lanes = columns, zero past the last.
template <class Word>
void packColumns(Word* out, int stride, Numbers x, const AttentionShape& shape, const ColumnTile& c) {
  for (int column = 0; column < c.width; column += WIDTH) {
    for (Size word = 0; word < depthWords<Word>(shape); word += WIDTH) {
      I32x rows[WIDTH];
#pragma GCC unroll 16
      for (int i = 0; i < WIDTH; i++) {
        rows[i] =
            column + i < c.count ? wordsOfRow<Word>(x + c.offset[column + i], word, shape.headDim) : I32x{};
      }
      transpose(rows);
#pragma GCC unroll 16
      for (int i = 0; i < WIDTH; i++)
        if (word + static_cast<Size>(i) < depthWords<Word>(shape))
          storeI32(out + (word + static_cast<Size>(i)) * static_cast<Size>(stride) + column, rows[i]);
    }
  }
}

// The columns of a tile as the depth of a product, in words.
template <class Word>
int columnWords(const ColumnTile& c) {
  return AMX_TILES && IS_PAIR<Word> ? c.width / 2 : (c.count + PER_WORD<Word> - 1) / PER_WORD<Word>;
}

// out[column / PER_WORD][d], lanes = headDim, for products whose depth is the columns. Rows have paddedDim
// words.
template <class Word>
void packColumnRows(Word* out, Numbers x, const AttentionShape& shape, const ColumnTile& c) {
  const Size padded = shape.paddedDim();
  for (int column = 0; column < columnWords<Word>(c) * PER_WORD<Word>;
       column += PER_WORD<Word>, out += padded) {
    if (AMX_TILES && column >= c.count) {
      for (Size d = 0; d < padded; d += WIDTH) storeI32(out + d, I32x{});
      continue;
    }
    const Numbers first = x + c.offset[column];
    const Numbers second = x + c.offset[column + 1 < c.count ? column + 1 : column];
    const bool isLast = column + 1 >= c.count;
    for (Size d = 0; d < padded; d += WIDTH) {
      const F32x low = loadUpTo(first, d, shape.headDim);
      if constexpr (IS_PAIR<Word>)
        storeI32(out + d, zipToBf16(low, isLast ? F32x{} : loadUpTo(second, d, shape.headDim)));
      else
        store(out + d, low);
    }
  }
}

// x[column][d] = factor[column] · sums[d][place of column], lanes = columns. Where `evenOdd`, each block of
// 2·WIDTH places holds its even columns first.
inline void writeColumns(const Results& x, const float* sums, int stride, const AttentionShape& shape,
                         const ColumnTile& c, const float* factor, bool evenOdd) {
  const int width = evenOdd ? roundUp(c.width, 2 * WIDTH) : c.width;
  for (int place = 0; place < width; place += WIDTH) {
    const int first = evenOdd ? place / (2 * WIDTH) * 2 * WIDTH + place / WIDTH % 2 : place;
    const int step = evenOdd ? 2 : 1;
    for (Size d = 0; d < shape.headDim; d += WIDTH) {
      const int numbers = static_cast<int>(smaller<Size>(WIDTH, shape.headDim - d));
      const float* at = sums + d * static_cast<Size>(stride) + place;
      I32x rows[WIDTH];
#pragma GCC unroll 16
      for (int i = 0; i < WIDTH; i++) rows[i] = i < numbers ? loadI32(at + i * stride) : I32x{};
      transpose(rows);
#pragma GCC unroll 16
      for (int i = 0; i < WIDTH; i++) {
        const int column = first + step * i;
        if (column < c.count) storeFirst(x, c.offset[column] + d, asF32(rows[i]) * factor[column], numbers);
      }
    }
  }
}

// Attention computes in floats where a level has no pairs, or a segment few columns. Arrays of bf16 numbers
// are then widened on the way in and rounded on the way out, each thread its share.
template <class From, class To>
QD_INLINE void convertShare(const From* from, To* to, Size count, int parts, int part) {
  const Range share = shareOf(count, parts, part, 64);
  for (Size i = share.begin; i < share.end; i += WIDTH) {
    const int n = static_cast<int>(smaller<Size>(WIDTH, share.end - i));
    storeFirst(to + i, loadFirst(from + i, n), n);
  }
}

// Rows of a tile of `keys` keys, with the rows of zeros that pairs need.
template <class Word>
QD_INLINE int rowsOf(int keys) {
  return IS_PAIR<Word> ? roundUp(keys, KEY_UNIT) : keys;
}
// Rows of a product that has one row for each number of a head.
template <class Word>
QD_INLINE int dimRows(const AttentionShape& shape) {
  return static_cast<int>(AMX_TILES && IS_PAIR<Word> ? shape.paddedDim() : shape.headDim);
}

}  // namespace qdylora::QD_LEVEL
