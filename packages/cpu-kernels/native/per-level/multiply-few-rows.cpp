// Computes: C (+)= A·B for at most 4 rows of A, without packing B: generation, where every weight is used
//   once.
// Owners: the caller's thread owns the columns; lanes are columns of C. 4-bit words and dense rows of Wᵀ are
//   transposed in registers, so sums have the order of the blocked product. Two to four vectors of columns at
//   a time hide the latency of FMA.
// Cost: 2·rows operations per weight; 4-bit: a shift, a look-up, a product and `rows` FMA per vector. Bound
//   by those instructions, not by memory (0.53 bytes a weight).
// Assumes: what readsDirectly says; reads only what exists.
// Not done: lanes along the depth with a sum over lanes at the end: fewer instructions for 4-bit words, but
//   other bits than the blocked product.
#include "../gemm/few-rows.h"

#include "../gemm/nf4-runs.h"
#include "../gemm/read-words.h"

namespace qdylora::QD_LEVEL {
namespace {

// VECTORS vectors of columns, ROWS rows: the sums of one depth block.
template <int ROWS, int VECTORS>
struct Sums {
  F32x sum[ROWS][VECTORS];

  // The sums of the columns from p on.
  QD_INLINE Sums(const FewRows& t, Size p) {
    for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; v++) {
        const Size at = p + static_cast<Size>(v) * WIDTH;
        sum[m][v] = t.isFirst || at >= t.columns
                        ? F32x{}
                        : loadFirst(t.carry + static_cast<Size>(m) * t.columns + at, lanesAt(t, at));
      }
    }
  }

  static QD_INLINE int lanesAt(const FewRows& t, Size at) {
    return static_cast<int>(smaller<Size>(WIDTH, t.columns - at));
  }

  // One word of every column, times the word of every row.
  template <bool PAIRS>
  QD_INLINE void add(const float* stripe, int v, F32x word) {
#pragma GCC unroll 4
    for (int m = 0; m < ROWS; m++)
      sum[m][v] = PAIRS ? addPairs(sum[m][v], asI32(all(stripe[m])), asI32(word))
                        : fma(all(stripe[m]), word, sum[m][v]);
  }

  QD_INLINE void storeAt(const FewRows& t, Size p) const {
    for (int m = 0; m < ROWS; m++) {
      for (int v = 0; v < VECTORS; v++) {
        const Size at = p + static_cast<Size>(v) * WIDTH;
        if (at >= t.columns) break;
        const int lanes = lanesAt(t, at);
        if (!t.isLast) {
          storeFirst(t.carry + static_cast<Size>(m) * t.columns + at, sum[m][v], lanes);
          continue;
        }
        float* row = t.to + static_cast<Size>(m) * t.stride + at;
        const F32x before = t.start == Start::add    ? loadFirst(row, lanes)
                            : t.start == Start::bias ? loadFirst(t.bias + at, lanes)
                                                     : F32x{};
        storeFirst(row, sum[m][v] + before, lanes);
      }
    }
  }
};

// B = Wᵀ, W in 4 bits: words of WIDTH rows of W are transposed, then each nibble is a shift, a lookup and a
// product.
template <int ROWS, int VECTORS, Form FORM>
void fewOfNf4(const Term& t, const FewRows& task) {
  constexpr bool PAIRS = FORM == Form::pairs;
  const Nf4Weight& w = t.b.packed;
  const Table16 table(w.levels);
  const ScaleReader scaleReader(w);
  const Size run0 = task.k0 / RUN;
  const Size runs = task.depth / RUN;
  for (Size p = 0; p < task.columns; p += VECTORS * WIDTH) {
    const Size exist = task.columns - p;
    const Size vectors = smaller<Size>(VECTORS, divideUp(exist, WIDTH));
    const auto firstRow = [&](Size v) { return task.column + p + v * WIDTH; };
    const auto rowCount = [&](Size v) { return smaller<Size>(WIDTH, exist - v * WIDTH); };
    float scales[VECTORS / 2][MOST_RUNS][PANEL];
    for (Size v = 0; v < vectors; v += 2)
      scaleReader.read(firstRow(v), smaller(PANEL, exist - v * WIDTH), run0, runs, scales[v / 2]);
    Sums<ROWS, VECTORS> sums(task, p);
    const float* a = task.stripe;
    for (Size i = 0; i < runs; i++) {
      I32x words[VECTORS][8];
      for (Size v = 0; v < VECTORS; v++) {
        if (v < vectors)
          readTransposed(w.runCodes(firstRow(v), run0 + i), w.rowStride(), rowCount(v), words[v]);
        else
          for (I32x& word : words[v]) word = I32x{};
      }
      for (int word = 0; word < 8; word++) {
#pragma GCC unroll 4
        for (int byte = 0; byte < 4; byte++) {
#pragma GCC unroll 4
          for (Size v = 0; v < VECTORS; v++) {
            const F32x scale = v < vectors ? load(scales[v / 2][i] + v % 2 * WIDTH) : F32x{};
            const F32x high = table.at(words[v][word] >> (8 * byte + 4)) * scale;
            const F32x low = table.at(words[v][word] >> (8 * byte)) * scale;
            sums.template add<PAIRS>(a, static_cast<int>(v), wordOf<FORM>(high, low));
            if (!PAIRS) sums.template add<PAIRS>(a + ROWS, static_cast<int>(v), wordOf<FORM>(low, F32x{}));
          }
          a += PAIRS ? ROWS : 2 * ROWS;
        }
      }
    }
    sums.storeAt(task, p);
  }
}

// B = W itself: lanes are adjacent in memory.
template <int ROWS, int VECTORS, Form FORM, class T>
void fewOfColumns(const Term& t, const FewRows& task, const T* data) {
  for (Size p = 0; p < task.columns; p += VECTORS * WIDTH) {
    Sums<ROWS, VECTORS> sums(task, p);
    const float* a = task.stripe;
    const T* row = data + task.k0 * t.b.stride + task.column + p;
    for (Size k = 0; k < task.depth; k += STEP<FORM>, row += STEP<FORM> * t.b.stride, a += ROWS) {
      for (int v = 0; v < VECTORS; v++) {
        const Size at = p + static_cast<Size>(v) * WIDTH;
        if (at >= task.columns) break;
        const int lanes = static_cast<int>(smaller<Size>(WIDTH, task.columns - at));
        sums.template add<FORM == Form::pairs>(
            a, v, wordsAcross<FORM>(row + v * WIDTH, t.b.stride, lanes, k + 1 == task.depth));
      }
    }
    sums.storeAt(task, p);
  }
}

// B = Wᵀ for a dense W: squares of WIDTH rows are transposed.
template <int ROWS, int VECTORS, Form FORM, class T>
void fewOfRows(const Term& t, const FewRows& task, const T* data) {
  constexpr bool PAIRS = FORM == Form::pairs;
  for (Size p = 0; p < task.columns; p += VECTORS * WIDTH) {
    const Size exist = task.columns - p;
    const T* first = data + (task.column + p) * t.b.stride + task.k0;
    Sums<ROWS, VECTORS> sums(task, p);
    const float* a = task.stripe;
    for (Size k = 0; k < task.depth; k += STEPS<FORM>) {
      const Size count = smaller(STEPS<FORM>, task.depth - k);
      const Size words = wordsOf(count, PAIRS);
      I32x square[VECTORS][WIDTH];
      for (Size v = 0; v < VECTORS; v++) {
#pragma GCC unroll 16
        for (Size r = 0; r < WIDTH; r++)
          square[v][r] = v * WIDTH + r < exist
                             ? wordsAlong<FORM>(first + (v * WIDTH + r) * t.b.stride + k, count)
                             : I32x{};
        transpose(square[v]);
      }
      for (Size i = 0; i < words; i++, a += ROWS) {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) sums.template add<PAIRS>(a, v, asF32(square[v][i]));
      }
    }
    sums.storeAt(task, p);
  }
}

template <int ROWS, int VECTORS, Form FORM, class T>
QD_INLINE void fewOfDense(const Term& t, const FewRows& task, const T* data) {
  if (t.b.transposed)
    fewOfRows<ROWS, VECTORS, FORM, T>(t, task, data);
  else
    fewOfColumns<ROWS, VECTORS, FORM, T>(t, task, data);
}

template <int ROWS>
void fewRows(const Term& t, const FewRows& task) {
  constexpr int VECTORS = ROWS == 1 ? 4 : 2;
  withForm(t.form(), [&](auto formTag) {
    if (t.b.bf16)
      fewOfDense<ROWS, VECTORS, formTag.value>(t, task, t.b.bf16);
    else if (t.b.f32)
      fewOfDense<ROWS, VECTORS, formTag.value>(t, task, t.b.f32);
    else
      fewOfNf4<ROWS, VECTORS, formTag.value>(t, task);
  });
}

}  // namespace

void multiplyFewRows(const Term& t, const FewRows& task) {
  withRowCount(task.rows, [&](auto rows) { fewRows<rows.value>(t, task); });
}

}  // namespace qdylora::QD_LEVEL
