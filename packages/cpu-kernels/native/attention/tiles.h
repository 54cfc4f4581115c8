#pragma once
#include "../tile-product.h"
#include "../vector-math.h"

// How the attention kernels cut their work. A *column* is one (query, head) of the heads that share a kv
// head, queries first. The columns of a tile are side by side in vector lanes, so a softmax runs down the
// lanes and no sum crosses them. Keys come in tiles of 64.
namespace qdylora::QD_LEVEL {

constexpr int KEY_TILE = 64;
constexpr int MOST_COLUMNS = 64;
// Operands of products in pairs are filled up with zeros: the packed keys of a segment to whole groups, the
// keys and columns of a tile to whole units.
constexpr int KEY_GROUP = AMX_TILES ? KEY_TILE : 8;
constexpr int KEY_UNIT = AMX_TILES ? 2 * static_cast<int>(AMX_WORDS) : 8;
constexpr int COLUMN_UNIT = AMX_TILES ? 2 * WIDTH : WIDTH;
// Operations that pay for waking a thread: about 5 µs of one core (Zen 3, 2026).
constexpr double ATTENTION_GRAIN = 3e5;
constexpr float LN_2 = 0.693147180559945309f;

template <class T>
QD_INLINE T roundUp(T n, int unit) {
  return (n + static_cast<T>(unit) - 1) / static_cast<T>(unit) * static_cast<T>(unit);
}

struct Segment {
  int q0, q1;     // queries [q0, q1)
  int k0, k1;     // keys [k0, k1)
  Size packedAt;  // its first key in packed arrays, in which every segment has whole groups of rows
  int keys() const { return k1 - k0; }
};

struct AttentionShape {
  const std::int32_t* querySegments;  // [segments]: where each segment begins, then where the last one ends
  const std::int32_t* keySegments;    // [segments]
  Size segments;                      // length of both, one more than there are segments
  Size queries, keys;
  Size heads, kvHeads, headDim;
  Size window;  // keys that a query sees at most; 0: all up to its own

  Size group() const { return heads / kvHeads; }
  Size queryStride() const { return heads * headDim; }
  Size keyStride() const { return kvHeads * headDim; }
  Size paddedDim() const { return roundUp(headDim, WIDTH); }
  // Rows of an array [headDim][columns], of numbers or of words.
  Size laneRows() const { return AMX_TILES ? roundUp(headDim, 2 * static_cast<int>(AMX_WORDS)) : headDim; }
  Size packedKeys() const { return keys + KEY_GROUP * (1 + 2 * segments); }
  Segment segment(Size s) const {
    return {querySegments[s], querySegments[s + 1], keySegments[s], keySegments[s + 1],
            roundUp(static_cast<Size>(keySegments[s]), KEY_GROUP) + 2 * KEY_GROUP * s};
  }
  int columns(const Segment& s) const { return static_cast<int>(static_cast<Size>(s.q1 - s.q0) * group()); }
  int tiles(const Segment& s, int width) const { return (columns(s) + width - 1) / width; }
  // What is wrong with sizes and segments, or nullptr. Everything else here divides by these sizes, converts
  // them to int and trusts the segments.
  const char* problem() const {
    constexpr Size MOST = 0x7fffffff;
    constexpr const char* SEGMENTS =
        "querySegments and keySegments must be rising segments within the arrays";
    if (heads == 0 || heads > MOST || kvHeads == 0 || heads % kvHeads || headDim == 0 || headDim > MOST)
      return "heads, kvHeads and headDim must be at least 1, and kvHeads must divide heads";
    if (queries > MOST / heads || keys > MOST)
      return "there must be fewer than 2^31 keys, and fewer than 2^31 columns (queries times heads)";
    if (segments < 1 || querySegments[0] < 0 || keySegments[0] < 0) return SEGMENTS;
    for (Size s = 0; s + 1 < segments; s++) {
      const Segment one{querySegments[s], querySegments[s + 1], keySegments[s], keySegments[s + 1], 0};
      if (one.q1 < one.q0 || one.k1 < one.k0) return SEGMENTS;
      if (one.q1 - one.q0 > one.keys())
        return "a segment must have no more queries than keys: the first ones would see no key";
    }
    return static_cast<Size>(querySegments[segments - 1]) <= queries &&
                   static_cast<Size>(keySegments[segments - 1]) <= keys
               ? nullptr
               : SEGMENTS;
  }
};

inline AttentionShape shapeOf(In<std::int32_t> querySegments, In<std::int32_t> keySegments, Size queries,
                              Size keys, Size heads, Size kvHeads, Size headDim, Size window) {
  const Size segments = smaller(querySegments.size, keySegments.size);
  return {querySegments.data, keySegments.data, segments, queries, keys, heads, kvHeads, headDim, window};
}

// From a product q·k to a score: times `scale`; where softCap > 0, softCap · tanh(· / softCap); where there
// are ALiBi slopes, plus slopes[head] · (key − the query's last key).
struct ScoreRule {
  float scale, softCap;
  const float* slopes;  // [heads], or nullptr
  // False where a score is the product times a positive factor, which is then applied in the exponential.
  bool changesScores() const { return softCap > 0 || slopes || !(scale > 0); }
  // From a product (or, once the rule has been applied, a score) to the exponent of 2.
  float toExponent() const { return changesScores() ? LOG2_E : scale * LOG2_E; }
  // Score without ALiBi of a product; sets `slope` to the derivative of the cap.
  QD_INLINE F32x capped(F32x product, F32x* slope) const {
    const F32x score = product * scale;
    if (!(softCap > 0)) {
      *slope = all(1.f);
      return score;
    }
    const F32x t = hyperbolicTangent(score / softCap);
    *slope = fma(-t, t, all(1.f));
    return t * softCap;
  }
};

// True where an exponent e = factor · score is so far from 0 that a softmax has to subtract the rounded
// product from rounded products. Nearer to 0 it subtracts it from exact ones (fma), which leaves the largest
// at up to half a unit in the last place of e instead of 0: below 2^28 at most 2^3 (a weight of 2^8, as of
// sums before they are rescaled), from 2^31 on 2^7 and more (a weight of infinity or 0). `lowest`: of a
// column that has seen no key.
QD_INLINE I32x isFarExponent(F32x e, float lowest) {
  return (absolute(e) > 268435456.f) & (e != all(lowest));
}

// The columns of one tile. Those past `count`, up to whole pairs of vectors, repeat the limits of the last
// one and hold zeros.
struct ColumnTile {
  int begin;                         // the first column within the segment
  int count;                         // of columns
  int width;                         // `count`, rounded up to whole units
  std::int32_t first[MOST_COLUMNS];  // the first key that each column sees
  std::int32_t last[MOST_COLUMNS];   // and the last one
  float slope[MOST_COLUMNS];         // ALiBi
  Size offset[MOST_COLUMNS];         // where its headDim numbers begin in q, y, dq and dy
  Size number[MOST_COLUMNS];         // its place in logSumExp
  int firstKey() const { return first[0]; }
  int lastKey() const { return last[count - 1]; }
  // True where every column sees all the keys [from, to): then nothing has to be masked.
  bool seeAll(int from, int to) const { return from >= first[count - 1] && to - 1 <= last[0]; }
  QD_INLINE I32x sees(int key, int c) const {
    return (allI32(key) >= loadI32(first + c)) & (allI32(key) <= loadI32(last + c));
  }
  // What ALiBi adds to the scores of columns [c, c + WIDTH) with a key.
  QD_INLINE F32x bias(int key, int c) const {
    return load(slope + c) * toF32(allI32(key) - loadI32(last + c));
  }
};

// Tile number `tile` of the tiles of `width` columns. `slopes`: ALiBi slopes of all heads, or nullptr.
inline ColumnTile columnsOf(const AttentionShape& shape, const Segment& s, Size kvHead, int tile, int width,
                            const float* slopes) {
  ColumnTile c;
  const int group = static_cast<int>(shape.group());
  const int window =
      shape.window > 0 && shape.window < 0x7fffffff ? static_cast<int>(shape.window) : 0x7fffffff;
  c.begin = tile * width;
  c.count = smaller(width, shape.columns(s) - c.begin);
  c.width = roundUp(c.count, COLUMN_UNIT);
  int query = s.q0 + c.begin / group;
  int inGroup = c.begin % group;
  for (int i = 0; i < roundUp(c.count, 2 * WIDTH); i++) {
    const Size head = kvHead * shape.group() + static_cast<Size>(inGroup);
    c.offset[i] = (static_cast<Size>(query) * shape.heads + head) * shape.headDim;
    c.number[i] = head * shape.queries + static_cast<Size>(query);
    c.last[i] = s.k1 - (s.q1 - query);
    c.first[i] = c.last[i] - s.k0 >= window ? c.last[i] - window + 1 : s.k0;
    c.slope[i] = slopes ? slopes[head] : 0.f;
    if (i + 1 < c.count && ++inGroup == group) {
      inGroup = 0;
      query++;
    }
  }
  return c;
}

// Tiles of keys are on a grid that starts at the segment's first key, so where a sum is cut does not depend
// on other columns.
inline int firstKeyTile(const Segment& s, int key) {
  return s.k0 + larger(key - s.k0, 0) / KEY_TILE * KEY_TILE;
}

// Keys that the last column of a tile sees, roughly: what a tile costs.
inline double keysSeen(const AttentionShape& shape, const Segment& s, int tile, int width) {
  const int lastQuery = smaller((tile + 1) * width, shape.columns(s)) / static_cast<int>(shape.group());
  const int keys = larger(0, s.keys() - (s.q1 - s.q0) + lastQuery);
  return shape.window > 0 ? smaller(static_cast<double>(keys), static_cast<double>(shape.window) + KEY_TILE)
                          : static_cast<double>(keys);
}

// Gives each part a contiguous share of equal cost: walk(use) calls use(item) for every item, always in the
// same order; cost(item) > 0.
template <class Item, class Walk, class Cost, class Visit>
void visitShare(int parts, int part, const Walk& walk, const Cost& cost, const Visit& visit) {
  double total = 0;
  double before = 0;
  walk([&](const Item& item) { total += cost(item); });
  walk([&](const Item& item) {
    const double itemCost = cost(item);
    const double middle = before + itemCost / 2;
    before += itemCost;
    if (smaller(static_cast<int>(middle * parts / total), parts - 1) == part) visit(item);
  });
}

}  // namespace qdylora::QD_LEVEL
