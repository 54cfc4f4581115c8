// Computes: packed panels of B from a 4-bit matrix, decoded while it is packed: a decoded matrix never
//   exists.
// Owners: the caller's thread owns the group of panels. Forward (Wᵀ) a lane is a row of W, whose words are
//   transposed in registers; backward a lane is a column.
// Cost: 0.52 bytes read and 4 (pairs: 2) written per weight. Forward, per 8 weights: shift, look-up, scale.
//   Backward a run shares one scaled table, so a weight costs a shift and a look-up. From the third level 15
//   G weights/s a core forward (7 without prefetch and without tiles in their order), 19 to 26 backward (15
//   where the place of every store is computed at the store): 2048², 32 rows, −5 and −10 % time (Zen 4,
//   2026).
// Assumes: runs of 64 columns that share a scale (hasRuns); other matrices are decoded element by element.
// Dropped: the backward without a prefetch of the rows ahead (−10 % speed at 2048², M = 256, Zen 3, 2026);
//   forward, lanes in pairs of columns so that nothing has to be zipped (0, Zen 4, 2026).
#include "../gemm/nf4-runs.h"
#include "../gemm/read-words.h"

namespace qdylora::QD_LEVEL {
namespace {

// One word from an element and the one at the next step of the depth (0 where there is none).
template <Form FORM>
QD_INLINE float scalarWord(float v, float next) {
  if (FORM == Form::plain) return v;
  const std::uint32_t second = __builtin_bit_cast(std::uint32_t, roundToBf16(next));
  const std::uint32_t first = __builtin_bit_cast(std::uint32_t, roundToBf16(v));
  return __builtin_bit_cast(float, FORM == Form::pairs ? first >> 16 | second : first);
}

// B = Wᵀ: rows of W become columns (forward).
template <Form FORM>
struct Nf4Rows {
  static constexpr bool PAIRS = FORM == Form::pairs;
  Nf4Weight w;
  ScaleReader scaleReader{w};

  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    const bool fast = w.hasRuns() && k0 % RUN == 0 && depth % RUN == 0;
    for (Size p = 0; p < columns; p += PANEL, out += PANEL * wordsOf(depth, PAIRS)) {
      const Size rows = smaller(PANEL, columns - p);
      if (fast)
        packPanel(column0 + p, rows, k0 / RUN, depth / RUN, out);
      else
        packSlowly(column0 + p, rows, k0, depth, out);
    }
  }

  void packPanel(Size row0, Size rows, Size run0, Size runs, float* out) const {
    const Table16 table(w.levels);
    // where there is none, the first half again, with scales of 0
    const Size second = rows > WIDTH ? WIDTH : 0;
    float scales[MOST_RUNS][PANEL];
    scaleReader.read(row0, rows, run0, runs, scales);
    for (Size i = 0; i < runs; i++, out += PANEL * (PAIRS ? RUN_WORDS : RUN)) {
      prefetchAhead(w, row0, run0, i, runs);
      packHalf(table, w.runCodes(row0, run0 + i), smaller<Size>(WIDTH, rows), load(scales[i]), out);
      packHalf(table, w.runCodes(row0 + second, run0 + i), second ? rows - WIDTH : rows,
               load(scales[i] + WIDTH), out + WIDTH);
    }
  }

  // A run of `rows` ≤ WIDTH rows: that many columns of a panel.
  QD_INLINE void packHalf(const Table16& table, const std::uint8_t* codes, Size rows, F32x scale,
                          float* out) const {
    I32x words[8];
    readTransposed(codes, w.rowStride(), rows, words);
#pragma GCC unroll 8
    for (int word = 0; word < 8; word++) {
#pragma GCC unroll 4
      for (int byte = 0; byte < 4; byte++) {
        const F32x high = table.at(words[word] >> (8 * byte + 4)) * scale;
        const F32x low = table.at(words[word] >> (8 * byte)) * scale;
        store(out, wordOf<FORM>(high, low));
        if (!PAIRS) store(out + PANEL, wordOf<FORM>(low, F32x{}));
        out += PAIRS ? PANEL : 2 * PANEL;
      }
    }
  }

  void packSlowly(Size row0, Size rows, Size k0, Size depth, float* out) const {
    for (Size k = 0; k < depth; k += STEP<FORM>, out += PANEL) {
      for (Size r = 0; r < PANEL; r++)
        out[r] = scalarWord<FORM>(r < rows ? w.at(row0 + r, k0 + k) : 0.f,
                                  PAIRS && r < rows && k + 1 < depth ? w.at(row0 + r, k0 + k + 1) : 0.f);
    }
  }
};

// Levels times a scale, for the look-up of a run.
struct ScaledTable {
  float scaled[16];
  Table16 table;  // may point at `scaled`
  QD_INLINE ScaledTable(const float* levels, float scale, bool round) : table(fill(levels, scale, round)) {}
  ScaledTable(const ScaledTable&) = delete;
  QD_INLINE const float* fill(const float* levels, float scale, bool round) {
#pragma GCC unroll 4
    for (Size i = 0; i < 16; i += WIDTH) {
      const F32x v = load(levels + i) * scale;
      store(scaled + i, round ? roundToBf16(v) : v);
    }
    return scaled;
  }
};

// Two rows of W that share words: decodes 64 columns of both from one table of 32 bf16 numbers, or from two
// tables.
struct PairTable {
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__) && QD_WIDTH == 16
  __m512i table;
  QD_INLINE PairTable(const float* levels, float first, float second)
      : table((__m512i)_mm512_cvtne2ps_pbh((__m512)(load(levels) * second), (__m512)(load(levels) * first))) {
  }
  // Columns 16·PART … of the runs at `a` and `b`: the bytes of both rows side by side, a nibble of each in
  // the low bits of its half, bit 4 set for the second row.
  template <int PART>
  static QD_INLINE I32x indices(__m512i rows) {
    typedef char Bytes __attribute__((vector_size(64)));
    constexpr char AT = 8 * PART;
    const Bytes spread = {
        AT,      AT,      AT + 32, AT + 32, AT,      AT,      AT + 32, AT + 32, AT + 1,  AT + 1,  AT + 33,
        AT + 33, AT + 1,  AT + 1,  AT + 33, AT + 33, AT + 2,  AT + 2,  AT + 34, AT + 34, AT + 2,  AT + 2,
        AT + 34, AT + 34, AT + 3,  AT + 3,  AT + 35, AT + 35, AT + 3,  AT + 3,  AT + 35, AT + 35, AT + 4,
        AT + 4,  AT + 36, AT + 36, AT + 4,  AT + 4,  AT + 36, AT + 36, AT + 5,  AT + 5,  AT + 37, AT + 37,
        AT + 5,  AT + 5,  AT + 37, AT + 37, AT + 6,  AT + 6,  AT + 38, AT + 38, AT + 6,  AT + 6,  AT + 38,
        AT + 38, AT + 7,  AT + 7,  AT + 39, AT + 39, AT + 7,  AT + 7,  AT + 39, AT + 39};
    const __m512i shifted =
        _mm512_srlv_epi32(_mm512_permutexvar_epi8((__m512i)spread, rows), _mm512_set1_epi64(4));
    // (shifted & mask) | bit
    return (I32x)_mm512_ternarylogic_epi32(shifted, _mm512_set1_epi32(0x000f000f),
                                           _mm512_set1_epi32(0x00100000), 0xea);
  }
  QD_INLINE void decode(const std::uint8_t* a, const std::uint8_t* b, I32x (&out)[RUN / WIDTH]) const {
    const __m512i rows =
        _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a))),
                           _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)), 1);
    out[0] = (I32x)_mm512_permutexvar_epi16((__m512i)indices<0>(rows), table);
    out[1] = (I32x)_mm512_permutexvar_epi16((__m512i)indices<1>(rows), table);
    out[2] = (I32x)_mm512_permutexvar_epi16((__m512i)indices<2>(rows), table);
    out[3] = (I32x)_mm512_permutexvar_epi16((__m512i)indices<3>(rows), table);
  }
#else
  ScaledTable one, two;
  QD_INLINE PairTable(const float* levels, float first, float second)
      : one(levels, first, true), two(levels, second, true) {}
  QD_INLINE void decode(const std::uint8_t* a, const std::uint8_t* b, I32x (&out)[RUN / WIDTH]) const {
    for (Size i = 0; i < RUN / WIDTH; i++)
      out[i] =
          zipRounded(decodeAlong(one.table, a + i * WIDTH / 2), decodeAlong(two.table, b + i * WIDTH / 2));
  }
#endif
};

// B = W itself (input gradient). Lanes are columns.
template <Form FORM>
struct Nf4Columns {
  static constexpr bool PAIRS = FORM == Form::pairs;
  Nf4Weight w;
  ScaleReader scaleReader{w};

  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    const bool fast = w.hasRuns() && column0 % PANEL == 0 && columns % PANEL == 0 && k0 % PANEL == 0;
    if (!fast) return packSlowly(column0, columns, k0, depth, out);
    const Size panelWords = PANEL * wordsOf(depth, PAIRS);
    for (Size n = 0; n < columns;) {
      const Size column = column0 + n;
      const Size part = column % RUN;
      const Size count = smaller(RUN - part, columns - n);
      packRun(column / RUN, part, count, k0, depth, out + n / PANEL * panelWords, panelWords);
      n += count;
    }
  }

  // The columns [part, part + count) of one column of runs.
  QD_INLINE void packRun(Size run, Size part, Size count, Size k0, Size depth, float* out,
                         Size panelWords) const {
    if (count == RUN)
      return packRows(run, k0, depth, out, [panelWords](float* at, Size i, I32x words) {
        storeI32(at + i * WIDTH / PANEL * panelWords + i * WIDTH % PANEL, words);
      });
    packRows(run, k0, depth, out, [part, count, panelWords](float* to, Size i, I32x words) {
      const Size at = i * WIDTH - part;  // wraps, and so is not below count, before the part
      if (at < count) storeI32(to + at / PANEL * panelWords + at % PANEL, words);
    });
  }

  // Calls put(out, i, words) with the words of WIDTH columns each, from i · WIDTH on; `out` moves by a row of
  // a panel with each word of the depth.
  template <class Put>
  QD_INLINE void packRows(Size run, Size k0, Size depth, float* out, const Put& put) const {
    const Size stride = w.rowStride();
    for (Size k = 0; k < depth; k += PANEL) {
      const Size rows = smaller(PANEL, depth - k);
      // out of the hardware's sight
      const std::uint8_t *codes = w.runCodes(k0 + k, run),
                         *ahead = w.runCodes(smaller(k0 + k + PANEL, w.rows - 1) / PANEL * PANEL, run);
      float scales[1][PANEL];
      scaleReader.read(k0 + k, rows, run, 1, scales);
      for (Size r = 0; r < rows;
           r += STEP<FORM>, out += PANEL, codes += STEP<FORM> * stride, ahead += STEP<FORM> * stride) {
        __builtin_prefetch(ahead);
        I32x decoded[RUN / WIDTH];
        if constexpr (PAIRS) {
          const bool last = r + 1 == rows;
          if (!w.tiled) __builtin_prefetch(ahead + stride);
          PairTable(w.levels, scales[0][r], last ? 0.f : scales[0][r + 1])
              .decode(codes, last ? codes : codes + stride, decoded);
        } else {
          const ScaledTable scaled(w.levels, scales[0][r], FORM == Form::rounded);
#pragma GCC unroll 16
          for (Size i = 0; i < RUN / WIDTH; i++)
            decoded[i] = asI32(decodeAlong(scaled.table, codes + i * WIDTH / 2));
        }
#pragma GCC unroll 16
        for (Size i = 0; i < RUN / WIDTH; i++) put(out, i, decoded[i]);
      }
    }
  }

  void packSlowly(Size column0, Size columns, Size k0, Size depth, float* out) const {
    const Size words = wordsOf(depth, PAIRS);
    for (Size k = 0; k < depth; k += STEP<FORM>, out += PANEL) {
      for (Size n = 0; n < roundUp(columns, PANEL); n++) {
        const bool exists = n < columns;
        out[n / PANEL * PANEL * words + n % PANEL] =
            scalarWord<FORM>(exists ? w.at(k0 + k, column0 + n) : 0.f,
                             PAIRS && k + 1 < depth && exists ? w.at(k0 + k + 1, column0 + n) : 0.f);
      }
    }
  }
};

template <Form FORM>
QD_INLINE void packAs(const Columns& b, Size column0, Size columns, Size k0, Size depth, float* out) {
  if (b.transposed)
    Nf4Rows<FORM>{b.packed}.pack(column0, columns, k0, depth, out);
  else
    Nf4Columns<FORM>{b.packed}.pack(column0, columns, k0, depth, out);
}

}  // namespace

void packNf4Panels(const Columns& b, Form form, Size column0, Size columns, Size k0, Size depth, float* out) {
  withForm(form, [&](auto formTag) { packAs<formTag.value>(b, column0, columns, k0, depth, out); });
  fillPanels(form, columns, depth, out);
}

}  // namespace qdylora::QD_LEVEL
