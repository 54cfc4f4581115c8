#pragma once
#include "tile-product.h"
#include "vector-math.h"

// How the attention kernels cut their work. A *column* is one (query, head) of the heads that share a kv head, queries first; 64 columns are one tile and
// stand side by side in vector lanes, so a softmax runs down the lanes and K and V are read in place, element by element, without packing.
namespace qdylora::QD_LEVEL {

constexpr int TILE = 64;
// Operations that pay for waking a thread: about 5 µs of one core (Zen 3, 2026).
constexpr double ATTENTION_GRAIN = 3e5;
constexpr const char* ATTENTION_SIZES = "expected rising segments within the arrays and heads that divide by kvHeads";

// One segment: queries [q0, q1) and keys [k0, k1).
struct Segment { int q0, q1, k0, k1; };

struct AttentionShape {
  const std::int32_t *querySegments, *keySegments;
  Size segments, queries, keys, heads, kvHeads, headDim, window;
  Size group() const { return heads / kvHeads; }
  Size queryStride() const { return heads * headDim; }
  Size keyStride() const { return kvHeads * headDim; }
  Size paddedDim() const { return (headDim + WIDTH - 1) / WIDTH * WIDTH; }
  Segment segment(Size s) const { return {querySegments[s], querySegments[s + 1], keySegments[s], keySegments[s + 1]}; }
  int columns(const Segment& s) const { return static_cast<int>(static_cast<Size>(s.q1 - s.q0) * group()); }
  int tiles(const Segment& s) const { return (columns(s) + TILE - 1) / TILE; }
  // What the reference takes for granted and memory safety needs: rising segments within the arrays, whole groups.
  bool valid() const {
    if (kvHeads == 0 || heads % kvHeads || segments < 1) return false;
    if (querySegments[0] < 0 || keySegments[0] < 0 || queries > 0x7fffffff / heads || keys > 0x7fffffff) return false;
    for (Size s = 0; s + 1 < segments; s++) {
      if (querySegments[s + 1] < querySegments[s] || keySegments[s + 1] < keySegments[s]) return false;
    }
    return static_cast<Size>(querySegments[segments - 1]) <= queries && static_cast<Size>(keySegments[segments - 1]) <= keys;
  }
};

// What becomes of scale · q·k: softCap · tanh(· / softCap) where softCap > 0, then slopes[head] · (key − query's own key) where there are slopes ([heads]).
struct ScoreRule {
  float scale, softCap;
  const float* slopes;
  bool changesScores() const { return softCap > 0 || slopes; }
  // Sets `slope` to the derivative of the cap.
  QD_INLINE F32x capped(F32x score, F32x* slope) const {
    if (!(softCap > 0)) { *slope = all(1.f); return score; }
    const F32x t = hyperbolicTangent(score / softCap);
    *slope = fma(-t, t, all(1.f));
    return t * softCap;
  }
};

// Up to 64 columns of one tile; those past `count` repeat the last one's limits and hold zeros.
struct Columns {
  int begin, count, width;                  // first column within the segment, how many, rounded up to whole vectors
  std::int32_t first[TILE], last[TILE];     // range of keys that each one sees, inclusive
  float slope[TILE];                        // ALiBi
  int firstKey() const { return first[0]; }
  int lastKey() const { return last[count - 1]; }
  // True where every column sees all the keys [from, to): then nothing has to be masked.
  bool seeAll(int from, int to) const { return from >= first[count - 1] && to - 1 <= last[0]; }
  QD_INLINE I32x sees(int key, int c) const { return (allI32(key) >= loadI32(first + c)) & (allI32(key) <= loadI32(last + c)); }
  // What ALiBi adds to the scores of columns [c, c + WIDTH) with a key.
  QD_INLINE F32x bias(int key, int c) const { return load(slope + c) * toF32(allI32(key) - loadI32(last + c)); }
};

// `slopes`: ALiBi slopes of all heads, or nullptr.
inline Columns columnsOf(const AttentionShape& shape, const Segment& s, Size kvHead, int tile, const float* slopes) {
  Columns c;
  const int group = static_cast<int>(shape.group()), window = shape.window > 0 && shape.window < 0x7fffffff ? static_cast<int>(shape.window) : 0x7fffffff;
  c.begin = tile * TILE;
  c.count = smaller(TILE, shape.columns(s) - c.begin);
  c.width = (c.count + WIDTH - 1) / WIDTH * WIDTH;
  for (int i = 0; i < c.width; i++) {
    const int query = s.q0 + (c.begin + smaller(i, c.count - 1)) / group;
    c.last[i] = s.k1 - (s.q1 - query);
    c.first[i] = c.last[i] - s.k0 >= window ? c.last[i] - window + 1 : s.k0;
    c.slope[i] = slopes ? slopes[kvHead * shape.group() + static_cast<Size>((c.begin + smaller(i, c.count - 1)) % group)] : 0.f;
  }
  return c;
}

// Tiles of keys stand on a grid that starts at the segment's first key, so where a sum is cut does not depend on the columns beside.
inline int firstKeyTile(const Segment& s, int key) { return s.k0 + larger(key - s.k0, 0) / TILE * TILE; }

// Where the headDim numbers of a column begin in q, y, dq, dy.
inline Size columnOffset(const AttentionShape& shape, const Segment& s, Size kvHead, int column) {
  const int group = static_cast<int>(shape.group());
  return (static_cast<Size>(s.q0 + column / group) * shape.heads + kvHead * shape.group() + static_cast<Size>(column % group)) * shape.headDim;
}

// out[d][c] = factor · x[column c][d], zero past the last column.
inline void packTransposed(float* out, const float* x, const AttentionShape& shape, const Segment& s, Size kvHead, const Columns& c, float factor) {
  for (int i = 0; i < c.width; i++) {
    const float* row = i < c.count ? x + columnOffset(shape, s, kvHead, c.begin + i) : nullptr;
    for (Size d = 0; d < shape.headDim; d++) out[d * TILE + static_cast<Size>(i)] = row ? row[d] * factor : 0.f;
  }
}

// Keys that the last column of a tile sees, roughly: what a tile costs.
inline double keysSeen(const AttentionShape& shape, const Segment& s, int tile) {
  const int lastQuery = smaller((tile + 1) * TILE, shape.columns(s)) / static_cast<int>(shape.group()), seen = larger(0, s.k1 - s.k0 - (s.q1 - s.q0) + lastQuery);
  return shape.window > 0 ? smaller(static_cast<double>(seen), static_cast<double>(shape.window) + TILE) : static_cast<double>(seen);
}

// Gives each part a contiguous share of equal cost: walk(use) calls use(item) for every item, always in the same order; cost(item) > 0.
template <class Item, class Walk, class Cost, class Visit>
void visitShare(int parts, int part, const Walk& walk, const Cost& cost, const Visit& visit) {
  double total = 0, before = 0;
  walk([&](const Item& item) { total += cost(item); });
  walk([&](const Item& item) {
    const double own = cost(item), middle = before + own / 2;
    before += own;
    if (smaller(static_cast<int>(middle * parts / total), parts - 1) == part) visit(item);
  });
}

}  // namespace qdylora::QD_LEVEL
