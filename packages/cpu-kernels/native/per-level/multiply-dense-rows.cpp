// Computes: C (+)= A·Wᵀ for at most 4 rows of A and a dense W, in bf16: the head of a model and its adapters
//   during generation. Also C += A·B for a dense B: the second half of an adapter (a text at rank 16: 10 to
//   15 % less time than by packed panels; Emerald Rapids, 2026).
// Owners: the caller's thread owns the columns of C (rows of W) and packs A for itself. Lanes run along the
//   depth, where pairs have the order of the instruction, and are added up at the end. For A·B lanes are
//   columns; a word is made of two rows of B.
// Cost: two bytes (four of a float32 W, rounded when read) per weight, once, in order; per 2·WIDTH weights a
//   load and `rows` products: bound by memory.
// Assumes: no alignment; reads only what exists.
// Dropped: lanes that are rows of W (a transpose of every square: a quarter of the bandwidth); four rows of W
//   at a time (half of it: the streams are short; Zen 4, 2026).
#include "../gemm/read-words.h"
#include "../gemm/whole-depth.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr Size STEP_WEIGHTS = 2 * WIDTH;
// Sums that do not wait for each other.
constexpr int CHAINS = 4;
// Weights ahead that are fetched: the rows after this one (4 KiB; 73 GB/s on two Zen 4 cores, 51 without,
// 2026).
constexpr Size AHEAD = 2048;

QD_INLINE I32x pairsAt(const BFloat16* weights) { return loadI32(weights); }
QD_INLINE I32x pairsAt(const float* weights) { return pairsToBf16(load(weights), load(weights + WIDTH)); }

template <int ROWS, class T>
void multiplyColumns(const Term& t, const T* matrix, const WholeDepth& task) {
  const Size steps = divideUp(t.depth, STEP_WEIGHTS);
  const Size stride = steps * WIDTH;
  float* words = task.scratch;
  for (Size m = 0; m < ROWS && !task.isPacked; m++) {
    const float* row = t.a.f32 + (task.row0 + m) * t.a.stride;
    for (Size i = 0; i < steps; i++) {
      const int count = static_cast<int>(smaller(STEP_WEIGHTS, t.depth - i * STEP_WEIGHTS));
      const int low = smaller(WIDTH, count);
      const F32x first = loadFirst(row + i * STEP_WEIGHTS, low) * t.a.factor;
      const F32x second =
          count > WIDTH ? loadFirst(row + i * STEP_WEIGHTS + WIDTH, count - WIDTH) * t.a.factor : F32x{};
      storeI32(words + m * stride + i * WIDTH, pairsToBf16(first, second));
    }
  }
  const Size whole = t.depth / STEP_WEIGHTS;
  for (Size n = task.column; n < task.column + task.columns; n++) {
    const T* weights = matrix + n * t.b.stride;
    F32x sums[ROWS][CHAINS];
    for (auto& row : sums)
      for (F32x& sum : row) sum = F32x{};
    const auto add = [&](Size i, int chain, I32x weight) {
#pragma GCC unroll 4
      for (int m = 0; m < ROWS; m++)
        sums[m][chain] =
            addPairs(sums[m][chain], loadI32(words + static_cast<Size>(m) * stride + i * WIDTH), weight);
    };
    Size i = 0;
    for (; i + CHAINS <= whole; i += CHAINS) {
      __builtin_prefetch(weights + i * STEP_WEIGHTS + AHEAD);
      __builtin_prefetch(weights + i * STEP_WEIGHTS + AHEAD + 2 * STEP_WEIGHTS);
#pragma GCC unroll 4
      for (int chain = 0; chain < CHAINS; chain++)
        add(i + static_cast<Size>(chain), chain,
            pairsAt(weights + (i + static_cast<Size>(chain)) * STEP_WEIGHTS));
    }
    for (; i < whole; i++) add(i, 0, pairsAt(weights + i * STEP_WEIGHTS));
    if (whole < steps)
      add(whole, 1, wordsAlong<Form::pairs>(weights + whole * STEP_WEIGHTS, t.depth - whole * STEP_WEIGHTS));
    for (Size m = 0; m < ROWS; m++) {
      float* to = task.to.data + (task.row0 + m) * task.to.stride + n;
      *to = sumOf((sums[m][0] + sums[m][1]) + (sums[m][2] + sums[m][3])) + (task.add       ? *to
                                                                            : task.to.bias ? task.to.bias[n]
                                                                                           : 0.f);
    }
  }
}

// The pair of A's row at depth k, which may be the last step; in every lane.
QD_INLINE I32x pairAt(const Term& t, Size row, Size k) {
  const float* a = t.a.f32 + row * t.a.stride + k;
  return zipToBf16(all(a[0] * t.a.factor), all(k + 1 < t.depth ? a[1] * t.a.factor : 0.f));
}

template <int ROWS, class T>
void addColumns(const Term& t, const T* matrix, const WholeDepth& task) {
  for (Size n = task.column; n < task.column + task.columns; n += WIDTH) {
    const int lanes = static_cast<int>(smaller<Size>(WIDTH, task.column + task.columns - n));
    F32x sums[ROWS];
    for (Size m = 0; m < ROWS; m++)
      sums[m] = loadFirst(task.to.data + (task.row0 + m) * task.to.stride + n, lanes);
    for (Size k = 0; k < t.depth; k += 2) {
      const T* weights = matrix + k * t.b.stride + n;
      const I32x words = zipToBf16(loadFirst(weights, lanes),
                                   k + 1 < t.depth ? loadFirst(weights + t.b.stride, lanes) : F32x{});
#pragma GCC unroll 4
      for (Size m = 0; m < ROWS; m++) sums[m] = addPairs(sums[m], pairAt(t, task.row0 + m, k), words);
    }
    for (Size m = 0; m < ROWS; m++)
      storeFirst(task.to.data + (task.row0 + m) * task.to.stride + n, sums[m], lanes);
  }
}

}  // namespace

bool multipliesDenseRows(const Term& t, Size rows) {
  return BF16_PAIRS && rows <= FEW_ROWS && t.b.dense() && t.b.transposed && t.pairs() && !t.a.half &&
         !t.a.transposed && t.depth > 0 && FEW_ROWS * (t.depth + STEP_WEIGHTS) <= 2 * GROUP_FLOATS;
}

void multiplyDenseRows(const Term& t, const WholeDepth& task) {
  withRowCount(task.rows, [&](auto rows) {
    if (t.b.bf16)
      multiplyColumns<rows.value>(t, t.b.bf16, task);
    else
      multiplyColumns<rows.value>(t, t.b.f32, task);
  });
}

bool addsDenseColumns(const Term& t, Size rows) {
  return BF16_PAIRS && rows <= FEW_ROWS && t.b.dense() && !t.b.transposed && t.pairs() && !t.a.half &&
         !t.a.transposed;
}

void addDenseColumns(const Term& t, const WholeDepth& task) {
  withRowCount(task.rows, [&](auto rows) {
    if (t.b.bf16)
      addColumns<rows.value>(t, t.b.bf16, task);
    else
      addColumns<rows.value>(t, t.b.f32, task);
  });
}

}  // namespace qdylora::QD_LEVEL
