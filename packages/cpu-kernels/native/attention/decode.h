#pragma once
#include "tiles.h"

// The few-columns form of attention, for segments with at most 4 queries and 32 columns per kv head
// (decoding), where lanes = columns would leave most of a vector empty. Lanes run along headDim and along
// keys. A chunk of 64 keys is read for all kv heads at once, row after row, as one stream through memory:
// rows of a single kv head are up to a page apart, and were read at 9 GB/s of 29 (one Zen 4 core, beyond the
// cache). K and V are read once. All in float32, whatever the compute type: the time goes into reading.
//
// Every query is computed as it would be alone, with the keys up to its own: chunks begin at the same keys
// however many there are, and a masked key adds 0·v, an exact zero for finite values.
namespace qdylora::QD_LEVEL {

constexpr int FEW_QUERIES = 4;
constexpr int FEW_COLUMNS = 32;  // per kv head
constexpr int FEW_KEYS = 64;
// Operations that pay for a second thread: fewer than elsewhere, since the time goes into reading, and while
// a text is written the other thread is awake.
constexpr double FEW_GRAIN = 4e4;

inline bool hasFewColumns(const AttentionShape& shape, const Segment& s) {
  return s.q1 - s.q0 <= FEW_QUERIES && shape.columns(s) <= FEW_COLUMNS;
}

// The partial result of a chunk, for every column of every kv head.
struct FewPartials {
  float* largest;  // the largest exponent
  float* sum;      // Σ p
  float* o;        // Σ p·v: [paddedDim] each, not yet divided by the sum
  static Size floats(const AttentionShape& shape, const Segment& s) {
    return static_cast<Size>(shape.columns(s)) * shape.kvHeads * (2 + shape.paddedDim());
  }
  static FewPartials at(float* place, const AttentionShape& shape, const Segment& s) {
    const Size columns = static_cast<Size>(shape.columns(s)) * shape.kvHeads;
    return {place, place + columns, place + 2 * columns};
  }
};
// Keys of [from, to) that have to be read: all, or none where the window excludes them.
inline int fewKeys(const AttentionShape& shape, const Segment& s, int from, int to) {
  const std::int64_t lastOfFirstQuery = s.k1 - (s.q1 - s.q0);
  const std::int64_t window = static_cast<std::int64_t>(smaller<Size>(shape.window, 0x7fffffff));
  return window > 0 && to <= lastOfFirstQuery - window + 1 ? 0 : to - from;
}
// Scratch of one part: q and the scores of all columns.
inline Size fewScratchFloats(const AttentionShape& shape) {
  int columns = 0;
  for (Size s = 0; s + 1 < shape.segments; s++)
    if (hasFewColumns(shape, shape.segment(s))) columns = larger(columns, shape.columns(shape.segment(s)));
  return static_cast<Size>(columns) * shape.kvHeads * (shape.paddedDim() + FEW_KEYS);
}

// Lane i = the sum over the lanes of v[i], always in the same order (a tree).
template <int DISTANCE = WIDTH / 2>
QD_INLINE F32x sumsOf(I32x (&v)[WIDTH]) {
#pragma GCC unroll 16
  for (int i = 0; i < DISTANCE; i++) {
    Lanes::exchange<DISTANCE>(v[i], v[i + DISTANCE]);
    v[i] = asI32(asF32(v[i]) + asF32(v[i + DISTANCE]));
  }
  if constexpr (DISTANCE > 1)
    return sumsOf<DISTANCE / 2>(v);
  else
    return asF32(v[0]);
}

// Keys or values of one kv head.
struct HeadRows {
  const float* at;
  Size stride;
  int count;
};

// Rows that are prefetched ahead, into the second cache and in the order of memory: heads take turns within a
// few rows, which the hardware's prefetcher does not follow far.
//   Zen 4 (one busy core, from memory, 768 bytes a key, 2026): 64 rows ahead 18 GB/s of the 31 of a plain
//     read, without prefetch 8, into the first cache 9, 128 rows ahead 16, 256 ahead 14.
//   Emerald Rapids (100 keys, from the third cache, 2026): 8 to 16 rows ahead are best, 28 µs; 64 ahead 31
//     µs; 37 µs where values are not prefetched while keys are read.
constexpr int AHEAD_ROWS = 16;
// A chunk's rows in the order in which they are read: its keys, its values, then the next chunk's keys.
struct FewStream {
  const float* k;
  const float* v;
  Size stride;
  int keys;
  // Prefetches part `part` of `parts` of each of the rows [from, to); past the end it is only a hint.
  QD_INLINE void prefetch(int from, int to, Size part, Size parts) const {
    const Size lines = (stride + 15) / 16;
    for (int row = from; row < to; row++) {
      const float* at = row >= keys && row < 2 * keys
                            ? v + static_cast<Size>(row - keys) * stride
                            : k + static_cast<Size>(row < keys ? row : row - keys) * stride;
      for (Size i = lines * part / parts; i < lines * (part + 1) / parts; i++)
        __builtin_prefetch(at + 16 * i, 0, 2);
    }
  }
};

// scores[c][key…] of WIDTH / C keys and C columns; rows past the last repeat it. q: [C][padded], zero past
// headDim.
template <int C>
QD_INLINE void scoreKeys(const HeadRows& k, int key, const float* q, Size dim, Size padded, float* scores) {
  constexpr int KEYS = WIDTH / C;
  const float* row[KEYS];
  for (int i = 0; i < KEYS; i++) row[i] = k.at + static_cast<Size>(smaller(key + i, k.count - 1)) * k.stride;
  F32x sum[WIDTH] = {};
  Size d = 0;
  for (; d + WIDTH <= dim; d += WIDTH) {
    for (int i = 0; i < KEYS; i++)
      for (int c = 0; c < C; c++)
        sum[c * KEYS + i] =
            fma(load(q + static_cast<Size>(c) * padded + d), load(row[i] + d), sum[c * KEYS + i]);
  }
  for (int i = 0; d < dim && i < KEYS; i++) {
    const F32x right = loadFirst(row[i] + d, static_cast<int>(dim - d));
    for (int c = 0; c < C; c++)
      sum[c * KEYS + i] = fma(load(q + static_cast<Size>(c) * padded + d), right, sum[c * KEYS + i]);
  }
  I32x bits[WIDTH];
  for (int i = 0; i < WIDTH; i++) bits[i] = asI32(sum[i]);
  alignas(64) float result[WIDTH];
  store(result, sumsOf(bits));
  for (int c = 0; c < C; c++)
    for (int i = 0; i < KEYS; i++) scores[c * FEW_KEYS + key + i] = result[c * KEYS + i];
}

QD_INLINE void scoreColumns(const HeadRows& k, int key, int keys, const float* q, Size dim, Size padded,
                            int columns, float* scores) {
  int c = 0;
  for (; c + 4 <= columns; c += 4)
    for (int i = 0; i < keys; i += WIDTH / 4)
      scoreKeys<4>(k, key + i, q + static_cast<Size>(c) * padded, dim, padded, scores + c * FEW_KEYS);
  for (; c + 2 <= columns; c += 2)
    for (int i = 0; i < keys; i += WIDTH / 2)
      scoreKeys<2>(k, key + i, q + static_cast<Size>(c) * padded, dim, padded, scores + c * FEW_KEYS);
  if (c < columns)
    scoreKeys<1>(k, key, q + static_cast<Size>(c) * padded, dim, padded, scores + c * FEW_KEYS);
}

// o[c][:] += Σ over KEYS keys of p[c][key] · v[key][:], the keys in rising order.
template <int KEYS>
QD_INLINE void addValues(const float* v, Size stride, const float* p, Size dim, Size padded, int columns,
                         float* o) {
  for (Size d = 0; d < dim; d += WIDTH) {
    const int n = static_cast<int>(smaller<Size>(WIDTH, dim - d));
    F32x rows[KEYS];
    for (int key = 0; key < KEYS; key++) rows[key] = loadFirst(v + static_cast<Size>(key) * stride + d, n);
    for (int c = 0; c < columns; c++) {
      float* at = o + static_cast<Size>(c) * padded + d;
      F32x sum = load(at);
      for (int key = 0; key < KEYS; key++) sum = fma(all(p[c * FEW_KEYS + key]), rows[key], sum);
      store(at, sum);
    }
  }
}

// The rule on the products of one column along keys; `distance`: first key − the query's own key.
QD_INLINE void applyFewRule(float* scores, int keys, const ScoreRule& rule, float slope, int distance) {
  for (int i = 0; i < keys; i += WIDTH) {
    F32x derivative;
    F32x at = all(slope);
    for (int lane = 0; lane < WIDTH; lane++) at[lane] *= static_cast<float>(distance + i + lane);
    store(scores + i, rule.capped(load(scores + i), &derivative) + at);
  }
}

// scores → p along the keys of one column; masked ones become 0. Scores have room for whole vectors.
QD_INLINE void softmaxRow(float* scores, int keys, int firstSeen, int lastSeen, float factor, float lowest,
                          float* largest, float* sum) {
  for (int i = 0; i < roundUp(keys, WIDTH); i++)
    if (i < firstSeen || i > lastSeen || i >= keys) scores[i] = -__builtin_inff();
  F32x most = all(lowest);
  F32x total{};
  for (int i = 0; i < keys; i += WIDTH) most = larger(load(scores + i) * factor, most);
  *largest = largestOf(most);
  if (isFarExponent(all(*largest), lowest)[0]) {
    for (int i = 0; i < keys; i += WIDTH) store(scores + i, load(scores + i) * factor);
    factor = 1;
  }
  for (int i = 0; i < keys; i += WIDTH) {
    const F32x p = exponential2(fma(load(scores + i), all(factor), all(-*largest)));
    store(scores + i, p);
    total = total + p;
  }
  *sum = sumOf(total);
}

struct FewArrays {
  const float *q, *k, *v;
};

// Rows of q of every column of every kv head: [columns][padded].
inline void packFewQueries(float* out, const float* q, const AttentionShape& shape, const Segment& s) {
  const Size padded = shape.paddedDim();
  for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
    const ColumnTile c = columnsOf(shape, s, kvHead, 0, FEW_COLUMNS, nullptr);
    for (int column = 0; column < c.count; column++, out += padded) {
      const float* row = q + c.offset[column];
      for (Size d = 0; d < padded; d++) out[d] = d < shape.headDim ? row[d] : 0.f;
    }
  }
}

// All columns of a segment against the keys [from, to), at most FEW_KEYS of them. `scratch`:
// fewScratchFloats.
inline void attendFew(const AttentionShape& shape, const Segment& s, int from, int to, const FewArrays& a,
                      const ScoreRule& rule, float lowest, float* scratch, const FewPartials& out) {
  const int columns = shape.columns(s);
  const int keys = fewKeys(shape, s, from, to);
  const Size padded = shape.paddedDim();
  const Size dim = shape.headDim;
  const Size stride = shape.keyStride();
  const Size total = static_cast<Size>(columns) * shape.kvHeads;
  float* const q = scratch;
  float* const scores = q + total * padded;
  const auto rowsAt = [&](const float* x, Size kvHead) {
    return HeadRows{x + static_cast<Size>(from) * stride + kvHead * dim, stride, keys};
  };
  const auto scoresAt = [&](Size kvHead) { return scores + kvHead * static_cast<Size>(columns) * FEW_KEYS; };
  const FewStream stream{rowsAt(a.k, 0).at, rowsAt(a.v, 0).at, stride, keys};
  if (keys > 0) stream.prefetch(0, AHEAD_ROWS, 0, 1);  // none where the window excludes them
  packFewQueries(q, a.q, shape, s);
  for (int key = 0; key < keys; key += WIDTH) {
    for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
      stream.prefetch(key + AHEAD_ROWS, key + AHEAD_ROWS + WIDTH, kvHead, shape.kvHeads);
      scoreColumns(rowsAt(a.k, kvHead), key, smaller(WIDTH, keys - key),
                   q + kvHead * static_cast<Size>(columns) * padded, dim, padded, columns, scoresAt(kvHead));
    }
  }
  for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
    const ColumnTile c = columnsOf(shape, s, kvHead, 0, FEW_COLUMNS, rule.slopes);
    for (int column = 0; column < columns; column++) {
      float* row = scoresAt(kvHead) + column * FEW_KEYS;
      const Size at = kvHead * static_cast<Size>(columns) + static_cast<Size>(column);
      if (rule.changesScores()) applyFewRule(row, keys, rule, c.slope[column], from - c.last[column]);
      softmaxRow(row, keys, c.first[column] - from, c.last[column] - from, rule.toExponent(), lowest,
                 out.largest + at, out.sum + at);
    }
  }
  for (Size i = 0; i < total * padded; i += WIDTH) store(out.o + i, F32x{});
  int key = 0;
  for (; key < keys; key += key + 8 <= keys ? 8 : 1) {
    for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
      const float* v = rowsAt(a.v, kvHead).at + static_cast<Size>(key) * stride;
      const float* p = scoresAt(kvHead) + key;
      stream.prefetch(keys + key + AHEAD_ROWS, keys + key + AHEAD_ROWS + 8, kvHead, shape.kvHeads);
      float* o = out.o + kvHead * static_cast<Size>(columns) * padded;
      if (key + 8 <= keys)
        addValues<8>(v, stride, p, dim, padded, columns, o);
      else
        addValues<1>(v, stride, p, dim, padded, columns, o);
    }
  }
}

// Joins the chunks of one column, in order, and writes its y and logSumExp. `place`: the first chunk's
// partials, `step` floats before the next one's.
inline void joinFew(const AttentionShape& shape, const Segment& s, Size kvHead, const ColumnTile& c,
                    int column, float* place, Size step, int chunks, float lowest, float* y,
                    float* logSumExp) {
  const Size padded = shape.paddedDim();
  const Size at = kvHead * static_cast<Size>(shape.columns(s)) + static_cast<Size>(column);
  float most = lowest;
  float sum = 0;
  for (int chunk = 0; chunk < chunks; chunk++)
    most = larger(most, FewPartials::at(place + static_cast<Size>(chunk) * step, shape, s).largest[at]);
  float* whole = FewPartials::at(place, shape, s).o + at * padded;
  for (int chunk = 0; chunk < chunks; chunk++) {
    const FewPartials part = FewPartials::at(place + static_cast<Size>(chunk) * step, shape, s);
    const F32x factor = exponential2(all(part.largest[at] - most));
    sum += part.sum[at] * factor[0];
    for (Size d = 0; d < padded; d += WIDTH) {
      const F32x term = load(part.o + at * padded + d) * factor;
      store(whole + d, chunk == 0 ? term : load(whole + d) + term);
    }
  }
  for (Size d = 0; d < shape.headDim; d++) y[c.offset[column] + d] = whole[d] / sum;
  logSumExp[c.number[column]] =
      sum == 0.f ? -__builtin_inff() : fma(all(most), all(LN_2), all(logarithm(sum)))[0];
}

}  // namespace qdylora::QD_LEVEL
