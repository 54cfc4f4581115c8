#pragma once
#include "attention-tiles.h"

// The few-columns form of a softmax over keys: lanes run along headDim and along keys, K and V are streamed row by row, each read once for all columns.
// For segments with at most 8 columns (decoding), where lanes = columns would leave most of a vector empty and jump between rows.
namespace qdylora::QD_LEVEL {

constexpr int FEW_COLUMNS = 8;
// Keys of one piece: the scores of 8 columns fill the scratch of one tile.
constexpr int CHUNK = TILE * TILE / FEW_COLUMNS;

// Running softmax of one tile of columns: o holds Σ p·v, transposed ([headDim][TILE]), not yet divided by the sum.
struct Softmax { float *largest, *sum, *o; };

// Rows of one kv head stand far apart, often a page, where no hardware prefetcher follows. Asks for the row `AHEAD` keys on; past the end it is only a hint.
// One core of a busy Zen 3 (2026): 14–17 GB/s for 768-byte steps, 5 GB/s for steps of a page beyond the L3 cache (4.4 without the hint; 17 within the cache).
constexpr Size AHEAD = 12;
QD_INLINE void prefetchRow(const float* row, Size dim) {
  for (Size d = 0; d < dim; d += 16) __builtin_prefetch(row + d);
}

// scores[C][CHUNK] of one key for C columns from rows of q (scaled, padded with zeros).
template <int C>
QD_INLINE void scoreKey(const float* k, const float* q, Size dim, Size padded, float* scores) {
  F32x sum[C] = {};
  Size d = 0;
  for (; d + WIDTH <= dim; d += WIDTH) {
    const F32x right = load(k + d);
    for (int c = 0; c < C; c++) sum[c] = fma(load(q + static_cast<Size>(c) * padded + d), right, sum[c]);
  }
  if (d < dim) {
    const F32x right = loadFirst(k + d, static_cast<int>(dim - d));
    for (int c = 0; c < C; c++) sum[c] = fma(load(q + static_cast<Size>(c) * padded + d), right, sum[c]);
  }
  for (int c = 0; c < C; c++) scores[c * CHUNK] = sumOf(sum[c]);
}

// o[c][:] += Σ over KEYS keys of p[c][key] · v[key][:], the keys in rising order.
template <int KEYS>
QD_INLINE void addValues(const float* v, Size stride, const float* p, Size dim, Size padded, int columns, float* o) {
  for (Size d = 0; d < dim; d += WIDTH) {
    const int n = static_cast<int>(smaller<Size>(WIDTH, dim - d));
    F32x rows[KEYS];
    for (int key = 0; key < KEYS; key++) rows[key] = loadFirst(v + static_cast<Size>(key) * stride + d, n);
    for (int c = 0; c < columns; c++) {
      float* at = o + static_cast<Size>(c) * padded + d;
      F32x sum = load(at);
      for (int key = 0; key < KEYS; key++) sum = fma(all(p[c * CHUNK + key]), rows[key], sum);
      store(at, sum);
    }
  }
}

// The rule on the scores of one column along keys; `distance`: first key − the query's own key.
QD_INLINE void applyRule(float* scores, int keys, const ScoreRule& rule, float slope, int distance) {
  for (int i = 0; i < keys; i += WIDTH) {
    F32x at = all(slope), derivative;
    for (int lane = 0; lane < WIDTH; lane++) at[lane] *= static_cast<float>(distance + i + lane);
    store(scores + i, rule.capped(load(scores + i), &derivative) + at);
  }
}

// scores → p along the keys of one column; masked ones become 0.
QD_INLINE void softmaxRow(float* scores, int keys, int firstSeen, int lastSeen, float lowest, float* largest, float* sum) {
  for (int i = 0; i < keys; i++) if (i < firstSeen || i > lastSeen) scores[i] = -__builtin_inff();
  for (int i = keys; i % WIDTH; i++) scores[i] = -__builtin_inff();
  F32x most = all(lowest), total{};
  for (int i = 0; i < keys; i += WIDTH) most = larger(load(scores + i), most);
  *largest = largestOf(most);
  for (int i = 0; i < keys; i += WIDTH) {
    const F32x p = exponential(load(scores + i) - *largest);
    store(scores + i, p);
    total = total + p;
  }
  *sum = sumOf(total);
}

struct FewColumns { const float *k, *v; Size stride, dim, padded; int from, keys; };

// q: [columns][padded], scaled. scores: [8][CHUNK]. o: [columns][padded], scratch. At most CHUNK keys.
inline void attendFewColumns(const FewColumns& a, const Columns& c, const float* q, float* scores, float* o, float lowest, const ScoreRule& rule, const Softmax& state) {
  for (int key = 0; key < a.keys; key++) {
    const float* k = a.k + static_cast<Size>(key) * a.stride;
    prefetchRow(k + AHEAD * a.stride, a.dim);
    int column = 0;
    for (; column + 4 <= c.count; column += 4) scoreKey<4>(k, q + static_cast<Size>(column) * a.padded, a.dim, a.padded, scores + column * CHUNK + key);
    for (; column + 2 <= c.count; column += 2) scoreKey<2>(k, q + static_cast<Size>(column) * a.padded, a.dim, a.padded, scores + column * CHUNK + key);
    if (column < c.count) scoreKey<1>(k, q + static_cast<Size>(column) * a.padded, a.dim, a.padded, scores + column * CHUNK + key);
  }
  for (int column = 0; column < c.count; column++) {
    if (rule.changesScores()) applyRule(scores + column * CHUNK, a.keys, rule, c.slope[column], a.from - c.last[column]);
    softmaxRow(scores + column * CHUNK, a.keys, c.first[column] - a.from, c.last[column] - a.from, lowest, state.largest + column, state.sum + column);
    for (Size d = 0; d < a.padded; d++) o[static_cast<Size>(column) * a.padded + d] = 0;
  }
  int key = 0;
  for (; key + 4 <= a.keys; key += 4) {
    const float* v = a.v + static_cast<Size>(key) * a.stride;
    for (Size i = 0; i < 4; i++) prefetchRow(v + (AHEAD + i) * a.stride, a.dim);
    addValues<4>(v, a.stride, scores + key, a.dim, a.padded, c.count, o);
  }
  for (; key < a.keys; key++) addValues<1>(a.v + static_cast<Size>(key) * a.stride, a.stride, scores + key, a.dim, a.padded, c.count, o);
  for (int column = 0; column < c.width; column++) {
    for (Size d = 0; d < a.dim; d++) state.o[d * TILE + static_cast<Size>(column)] = column < c.count ? o[static_cast<Size>(column) * a.padded + d] : 0.f;
    if (column >= c.count) { state.largest[column] = lowest; state.sum[column] = 0; }
  }
}

}  // namespace qdylora::QD_LEVEL
