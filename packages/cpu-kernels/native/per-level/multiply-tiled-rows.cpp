// Computes: C (+)= A·Wᵀ for at most 4 rows of A and a tiled 4-bit W, in 16 bits: generation, where every
//   weight is used once.
// Owners: the caller's thread owns the columns of C (rows of W) and packs A for itself. A register holds the
//   runs of two rows of W; a word is four weights of one row.
// Cost: per 128 weights a load, 3 shifts, 4 look-ups, 4·rows products of pairs, and one scaling of each sum
//   by the scales of the runs. 0.52 bytes read per weight, once, in order.
// Assumes: whole tiles. The levels are rounded instead of level · scale (to bf16: as far from the exact
//   weight, 2^-8 of it), so results differ from the blocked product's within that.
// Kept: on cores with tiles, pairs of integers, which are finer too and twice as fast as pairs of bf16
//   numbers there (a text of SmolLM2-135M: 13 % less time in the best of 4; Emerald Rapids, 2026); on those
//   cores also a prefetch 4 KiB ahead (6 % faster from memory; Granite Rapids, 2026).
// Dropped: that prefetch elsewhere (slower: the hardware's is better on a sequential stream); lanes that are
//   rows (a transpose for every tile: a third of the speed; Zen 4, 2026).
#include "../gemm/whole-depth.h"

#include "../gemm/nf4-runs.h"

namespace qdylora::QD_LEVEL {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__) && QD_WIDTH == 16
namespace {

constexpr Size AHEAD = 8192;
constexpr Size ROW_PAIRS = TILE_HEIGHT / 2;
constexpr Size PLANES = 4;
constexpr Size PLANE_WORDS = RUN / PLANES;
// Which of the four weights of a word a shift by 4 · plane brings down: the low nibble of a byte is the odd
// one.
constexpr Size WITHIN[PLANES] = {1, 0, 3, 2};

// What a word of 16 bits is: a bf16 number, or an integer. Integers count units of 2^-15 of the largest
// number of a run of A, and of 2^-13 of the largest level: a lane's eight products stay below 2^31.
#if defined(__AVX512VNNI__)
constexpr bool INTEGERS = AMX_TILES;
#else
constexpr bool INTEGERS = false;
#endif
// Numbers that are all below LEAST are as good as 0.
constexpr float MOST_INPUT = 32767;
constexpr float MOST_LEVEL = 8190;
constexpr float LEAST = 1e-30f;

// The levels in the lower and the upper 16 words, and what one unit of a word is worth.
struct Levels {
  __m512i words;
  float unit;
};
QD_INLINE Levels levelsOf(const float* levels) {
  const __m512 exact = _mm512_loadu_ps(levels);
  if (!INTEGERS) return {(__m512i)_mm512_cvtne2ps_pbh(exact, exact), 1};
  const float most = larger(_mm512_reduce_max_ps(_mm512_abs_ps(exact)), LEAST);
  const __m256i words =
      _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(exact, _mm512_set1_ps(MOST_LEVEL / most))));
  return {_mm512_broadcast_i64x4(words), most / MOST_LEVEL};
}

// A row of A as words, [run][plane][word], and what one unit is worth in each run: no number where one of A
// is none or infinite, which integers cannot say.
void packPlanes(const Rows& a, Size row, Size depth, std::uint16_t* out, float* units) {
  constexpr int NOT_FINITE = 0x99;
  const float* from = a.f32 + row * a.stride;
  for (Size run = 0; run < depth; run += RUN, units++) {
    __m512 picked[PLANES];
    __m512 most = _mm512_set1_ps(LEAST);
    __mmask16 isBad = 0;
    for (Size plane = 0; plane < PLANES; plane++) {
      const __m512i index = _mm512_add_epi32(
          _mm512_slli_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 2),
          _mm512_set1_epi32(static_cast<int>(WITHIN[plane])));
      picked[plane] = _mm512_mul_ps(_mm512_i32gather_ps(index, from + run, 4), _mm512_set1_ps(a.factor));
      most = _mm512_max_ps(most, _mm512_abs_ps(picked[plane]));
      isBad |= _mm512_fpclass_ps_mask(picked[plane], NOT_FINITE);
    }
    const float largest = _mm512_reduce_max_ps(most);
    *units = isBad ? __builtin_nanf("") : largest / MOST_INPUT;
    for (Size plane = 0; plane < PLANES; plane++) {
      __m256i* to = reinterpret_cast<__m256i*>(out + run + plane * PLANE_WORDS);
      if constexpr (INTEGERS)
        _mm256_storeu_si256(to, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(
                                    _mm512_mul_ps(picked[plane], _mm512_set1_ps(MOST_INPUT / largest)))));
      else
        _mm256_storeu_si256(to, (__m256i)_mm512_cvtneps_pbh(picked[plane]));
    }
  }
}

// Σ over the planes of a run of x times the words of two rows of W.
QD_INLINE __m512 multiplyPlanes(const std::uint16_t* x, const __m512i (&at)[PLANES]) {
  const auto plane = [&](Size i) {
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i * PLANE_WORDS)));
  };
#if defined(__AVX512VNNI__)
  if constexpr (INTEGERS) {
    __m512i sum = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (Size i = 0; i < PLANES; i++) sum = _mm512_dpwssd_epi32(sum, plane(i), at[i]);
    return _mm512_cvtepi32_ps(sum);
  }
#endif
  __m512 sum = _mm512_setzero_ps();
#pragma GCC unroll 4
  for (Size i = 0; i < PLANES; i++) sum = _mm512_dpbf16_ps(sum, (__m512bh)plane(i), (__m512bh)at[i]);
  return sum;
}

// Rows of A, packed: words and units of one are `depth` and `depth / RUN` behind those of the previous row.
struct Inputs {
  const std::uint16_t* planes;
  const float* units;
  Size depth;
};

// Sums of PAIRS pairs of rows of W, from `pair0` on, times ROWS rows of A, over `count` runs.
template <int ROWS, int PAIRS>
QD_INLINE void addRuns(const Nf4Weight& w, Size row0, Size pair0, Size run0, Size count, __m512i levels,
                       const Inputs& inputs, const float (*scales)[PANEL], __m512 (&sums)[ROWS][ROW_PAIRS]) {
  __m512 pairSums[ROWS][PAIRS];
#pragma GCC unroll 4
  for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 16
    for (int p = 0; p < PAIRS; p++) pairSums[m][p] = sums[m][pair0 + static_cast<Size>(p)];
  }
  for (Size i = 0; i < count; i++) {
    const std::uint8_t* tile = w.runCodes(row0, run0 + i) + pair0 * RUN;
    const auto unit = [&](Size row) {
      return _mm512_set1_ps(inputs.units[row * (inputs.depth / RUN) + run0 + i]);
    };
    __m512 half[2] = {_mm512_loadu_ps(scales[i]), _mm512_loadu_ps(scales[i] + 16)};
    constexpr bool SCALES_UNITS = INTEGERS && ROWS == 1;  // the row's unit once for all pairs
    if constexpr (SCALES_UNITS)
      for (__m512& scale : half) scale = _mm512_mul_ps(scale, unit(0));
#pragma GCC unroll 16
    for (int p = 0; p < PAIRS; p++) {
      const __m512i words = _mm512_loadu_si512(tile + p * RUN);
      if constexpr (AMX_TILES) __builtin_prefetch(tile + p * RUN + AHEAD, 0, 2);
      const __m512i at[PLANES] = {_mm512_permutexvar_epi16(words, levels),
                                  _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 4), levels),
                                  _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 8), levels),
                                  _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 12), levels)};
      const int pair = static_cast<int>(pair0) + p;
      const __m512i lanes =
          _mm512_add_epi32(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
                           _mm512_set1_epi32(2 * (pair % 8)));
      const __m512 scale = _mm512_permutexvar_ps(lanes, half[pair / 8]);
#pragma GCC unroll 4
      for (int m = 0; m < ROWS; m++) {
        const Size row = static_cast<Size>(m);
        const Size run = run0 + i;
        const __m512 sum = multiplyPlanes(inputs.planes + row * inputs.depth + run * RUN, at);
        pairSums[m][p] = _mm512_fmadd_ps(
            sum, INTEGERS && !SCALES_UNITS ? _mm512_mul_ps(scale, unit(row)) : scale, pairSums[m][p]);
      }
    }
  }
#pragma GCC unroll 4
  for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 16
    for (int p = 0; p < PAIRS; p++) sums[m][pair0 + static_cast<Size>(p)] = pairSums[m][p];
  }
}

// The 32 sums of a panel: those of a pair's first row are in the lower half of its register.
QD_INLINE void sumPanel(const __m512 (&pairs)[ROW_PAIRS], float* out) {
  I32x square[WIDTH];
  for (Size p = 0; p < ROW_PAIRS; p++) square[p] = (I32x)pairs[p];
  transpose(square);
  F32x even = asF32(square[0]);
  F32x odd = asF32(square[8]);
  for (int i = 1; i < 8; i++) {
    even += asF32(square[i]);
    odd += asF32(square[8 + i]);
  }
  for (Size p = 0; p < ROW_PAIRS; p++) {
    out[2 * p] = even[p];
    out[2 * p + 1] = odd[p];
  }
}

template <int ROWS>
void multiplyPanels(const Term& t, const WholeDepth& task) {
  // So many pairs of rows that their sums stay in registers.
  constexpr int PAIRS = ROWS == 1 ? 16 : ROWS == 2 ? 8 : 4;
  const Nf4Weight& w = t.b.packed;
  std::uint16_t* planes = reinterpret_cast<std::uint16_t*>(task.scratch);
  float* units = task.scratch + FEW_ROWS * t.depth / 2;  // behind the words of all rows
  const Levels levels = levelsOf(w.levels);
  if (!task.isPacked) {
    for (Size m = 0; m < ROWS; m++)
      packPlanes(t.a, task.row0 + m, t.depth, planes + m * t.depth, units + m * w.rowRuns());
    for (Size i = 0; INTEGERS && i < ROWS * w.rowRuns(); i++) units[i] *= levels.unit;
  }
  const ScaleReader scaleReader(w);
  for (Size column = task.column; column < task.column + task.columns; column += PANEL) {
    __m512 sums[ROWS][ROW_PAIRS];
    for (auto& row : sums)
      for (__m512& sum : row) sum = _mm512_setzero_ps();
    for (Size run = 0; run < w.rowRuns(); run += MOST_RUNS) {
      const Size count = smaller(MOST_RUNS, w.rowRuns() - run);
      float scales[MOST_RUNS][PANEL];
      scaleReader.read(column, PANEL, run, count, scales);
      for (Size pair = 0; pair < ROW_PAIRS; pair += PAIRS)
        addRuns<ROWS, PAIRS>(w, column, pair, run, count, levels.words, {planes, units, t.depth}, scales,
                             sums);
    }
    for (Size m = 0; m < ROWS; m++) {
      float values[PANEL];
      float* to = task.to.data + (task.row0 + m) * task.to.stride + column;
      sumPanel(sums[m], values);
      for (Size i = 0; i < PANEL; i += WIDTH) {
        const F32x before = task.add ? load(to + i) : task.to.bias ? load(task.to.bias + column + i) : F32x{};
        store(to + i, load(values + i) + before);
      }
    }
  }
}

}  // namespace

bool multipliesTiled(const Term& t, Size rows) {
  return rows <= FEW_ROWS && !t.b.dense() && t.b.transposed && t.b.packed.tiled && t.pairs() && !t.a.half &&
         !t.a.transposed && t.depth % RUN == 0 &&
         FEW_ROWS * (t.depth + 2 * t.depth / RUN) <= 2 * GROUP_FLOATS;
}

void multiplyTiledRows(const Term& t, const WholeDepth& task) {
  withRowCount(task.rows, [&](auto rows) { multiplyPanels<rows.value>(t, task); });
}
#else
bool multipliesTiled(const Term&, Size) { return false; }
void multiplyTiledRows(const Term&, const WholeDepth&) {}
#endif

}  // namespace qdylora::QD_LEVEL
