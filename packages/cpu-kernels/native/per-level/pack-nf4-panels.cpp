// Packs panels of B from a 4-bit matrix: decoded on the way, so that no decoded matrix ever exists.
// The caller's thread owns the group of panels. Forward (Wᵀ): a lane is a row of W, whose words are transposed in registers; backward: a lane is a column.
// 0.53 bytes read and 4 written per weight; per 8 weights a shift, a lookup in two registers (one in AVX-512) and, forward, a product: 0.6 cycles a weight (Zen 3, 2026).
// Assumes rows that begin blocks (cols a multiple of the block size); other matrices take the scalar way, element by element.
// Tried and dropped: the backward without a prefetch of the rows ahead (−10 % at 2048², M = 256, Zen 3, 2026).
#include "../gemm/read-words.h"

namespace qdylora::QD_LEVEL {
namespace {

// One word from an element and the one at the next step of the depth (0 where there is none).
template <Form FORM> QD_INLINE float scalarWord(float v, float next) {
  if (FORM == Form::plain) return v;
  const std::uint32_t second = __builtin_bit_cast(std::uint32_t, roundToBf16(next)), first = __builtin_bit_cast(std::uint32_t, roundToBf16(v));
  return __builtin_bit_cast(float, FORM == Form::pairs ? first >> 16 | second : first);
}

// B = Wᵀ: rows of W become columns (forward). Lanes are rows of W: words of WIDTH rows are transposed, then each nibble is one shift and one lookup.
template <Form FORM>
struct Nf4Rows {
  static constexpr bool PAIRS = FORM == Form::pairs;
  Nf4Weight w;

  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    for (Size p = 0; p < roundUp(columns, PANEL); p += WIDTH) {
      const Size rows = p < columns ? smaller<Size>(WIDTH, columns - p) : 0;
      float* group = out + p / PANEL * PANEL * wordsOf(depth, PAIRS) + p % PANEL;
      if (w.rowsBeginBlocks() && k0 % 8 == 0 && depth % 8 == 0) packGroup(column0 + p, rows, k0, depth, group);
      else packSlowly(column0 + p, rows, k0, depth, group);
    }
  }

  void packGroup(Size row0, Size rows, Size k0, Size depth, float* out) const {
    const Table16 table(w.levels);
    const Size rowBytes = w.cols / 2, rowBlocks = w.cols / w.blockSize;
    for (Size from = 0; from < depth; from += 8 * WIDTH) {
      const Size count = smaller<Size>(8 * WIDTH, depth - from);
      const std::uint8_t* first = w.codes + row0 * rowBytes + (k0 + from) / 2;
      I32x words[WIDTH];
#pragma GCC unroll 16
      for (Size r = 0; r < WIDTH; r++) words[r] = r < rows ? loadWords(first + r * rowBytes, count / 2) : I32x{};
      transpose(words);
      for (Size k = 0; k < count;) {
        const Size block = (k0 + from + k) / w.blockSize, end = smaller(count, (block + 1) * w.blockSize - k0 - from);
        F32x scales{};
        for (Size r = 0; r < rows; r++) scales[r] = w.scale((row0 + r) * rowBlocks + block);
        for (; k < end; k += 8) decodeWord(table, words[k / 8], scales, out + wordsOf(from + k, PAIRS) * PANEL);
      }
    }
  }

  // Eight consecutive elements of each row.
  QD_INLINE void decodeWord(const Table16& table, I32x word, F32x scales, float* out) const {
#pragma GCC unroll 4
    for (int byte = 0; byte < 4; byte++) {
      const F32x high = table.at(word >> (8 * byte + 4)) * scales, low = table.at(word >> (8 * byte)) * scales;
      store(out, wordOf<FORM>(high, low));
      if (!PAIRS) store(out + PANEL, wordOf<FORM>(low, F32x{}));
      out += PAIRS ? PANEL : 2 * PANEL;
    }
  }

  void packSlowly(Size row0, Size rows, Size k0, Size depth, float* out) const {
    for (Size k = 0; k < depth; k += STEP<FORM>, out += PANEL) {
      for (Size r = 0; r < WIDTH; r++) out[r] = scalarWord<FORM>(r < rows ? w.at(row0 + r, k0 + k) : 0.f, PAIRS && r < rows && k + 1 < depth ? w.at(row0 + r, k0 + k + 1) : 0.f);
    }
  }
};

// The WIDTH nibbles that begin at p, one per lane, in the low 4 bits of each (whatever stands above).
QD_INLINE I32x loadNibbles(const std::uint8_t* p) {
#if QD_WIDTH == 4
  std::uint16_t pair;
  __builtin_memcpy(&pair, p, 2);
  return allI32(pair) >> I32x{4, 0, 12, 8};
#elif QD_WIDTH == 8
  std::int32_t word;
  __builtin_memcpy(&word, p, 4);
  return allI32(word) >> I32x{4, 0, 12, 8, 20, 16, 28, 24};
#else
  std::int32_t low, high;
  __builtin_memcpy(&low, p, 4);
  __builtin_memcpy(&high, p + 4, 4);
  const I32x words = {low, low, low, low, low, low, low, low, high, high, high, high, high, high, high, high};
  return words >> I32x{4, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24};
#endif
}

// B = W as it stands (input gradient). Lanes are columns; a block of a row shares one scaled table, so a weight costs a shift and a lookup.
template <Form FORM>
struct Nf4Columns {
  static constexpr bool PAIRS = FORM == Form::pairs;
  static constexpr Size AHEAD = 16;
  Nf4Weight w;

  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    const bool fast = w.rowsBeginBlocks() && w.blockSize % PANEL == 0 && column0 % PANEL == 0 && columns % PANEL == 0;
    const Size words = wordsOf(depth, PAIRS);
    for (Size k = 0; k < depth; k += STEP<FORM>, out += PANEL) {
      const bool last = k + 1 == depth;
      for (Size i = 0; i < STEP<FORM>; i++) __builtin_prefetch(w.codes + ((k0 + k + i + AHEAD) * w.cols + column0) / 2);  // each row is another cache line, out of the hardware's sight
      if (fast && !(PAIRS && last)) packRow(k0 + k, column0, columns, words, out);
      else packRowSlowly(k0 + k, column0, columns, words, last, out);
    }
  }

  // The levels of a block, scaled: as floats, or as the first or second half of a word.
  template <bool FIRST> QD_INLINE void scaledLevels(Size block, float* out) const {
    const float scale = w.scale(block);
#pragma GCC unroll 4
    for (Size i = 0; i < 16; i += WIDTH) {
      const F32x v = load(w.levels + i) * scale, rounded = FORM == Form::plain ? v : roundToBf16(v);
      store(out + i, PAIRS && FIRST ? asF32((I32x)((U32x)rounded >> 16)) : rounded);
    }
  }

  // One row, or two as pairs: then the halves of the words come from two tables.
  QD_INLINE void packRow(Size row, Size column0, Size columns, Size words, float* out) const {
    const std::uint8_t *codes = w.codes + (row * w.cols + column0) / 2, *nextCodes = codes + w.cols / 2;
    for (Size n = 0; n < columns;) {
      const Size block = (row * w.cols + column0 + n) / w.blockSize, end = smaller(columns, (block + 1) * w.blockSize - row * w.cols - column0);
      float scaled[16], next[16]{};
      scaledLevels<true>(block, scaled);
      if (PAIRS) scaledLevels<false>(block + w.cols / w.blockSize, next);
      const Table16 table(scaled), nextTable(next);
      for (; n < end; n += PANEL, out += PANEL * words) {
#pragma GCC unroll 2
        for (Size half = 0; half < PANEL; half += WIDTH) {
          const F32x v = table.at(loadNibbles(codes + (n + half) / 2));
          if constexpr (PAIRS) store(out + half, asF32(asI32(v) | asI32(nextTable.at(loadNibbles(nextCodes + (n + half) / 2)))));
          else store(out + half, v);
        }
      }
    }
  }

  void packRowSlowly(Size row, Size column0, Size columns, Size words, bool last, float* out) const {
    for (Size n = 0; n < roundUp(columns, PANEL); n++) {
      out[n / PANEL * PANEL * words + n % PANEL] = scalarWord<FORM>(n < columns ? w.at(row, column0 + n) : 0.f, PAIRS && !last && n < columns ? w.at(row + 1, column0 + n) : 0.f);
    }
  }
};

template <Form FORM>
QD_INLINE void packAs(const Columns& b, Size column0, Size columns, Size k0, Size depth, float* out) {
  if (b.transposed) Nf4Rows<FORM>{b.packed}.pack(column0, columns, k0, depth, out);
  else Nf4Columns<FORM>{b.packed}.pack(column0, columns, k0, depth, out);
}

}  // namespace

void packNf4Panels(const Columns& b, Form form, Size column0, Size columns, Size k0, Size depth, float* out) {
  withForm(form, [&](auto known) { packAs<known.value>(b, column0, columns, k0, depth, out); });
}

}  // namespace qdylora::QD_LEVEL
