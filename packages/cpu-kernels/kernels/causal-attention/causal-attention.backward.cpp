// Gradient of causal attention: p = exp(score − logSumExp), e = scale·p·(dy·v − dy·y);  dv = pᵀ·dy,  dk = eᵀ·q,  dq = e·k, recomputing the scores.
// A part owns (segment, kv head), so dk and dv have one writer and the heads of a group add up in its scratch. With too few of those for the threads there are
// two passes: dk and dv by blocks of keys, then dq by tiles of columns; 7 products for 5. Every number is the same sum in the same order either way.
// 10·headDim operations per visible (query, key) pair (14 in two passes); scratch per thread: 7 tiles, and dk and dv of the longest segment.
// Assumes y and logSumExp from the forward call; sizes and segments are checked below.
// Not done: atomics on dk and dv (not repeatable), one scratch copy of dq per block of keys (its memory grows with length squared).
#include "../../native/attention-tiles.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr int KEY_BLOCK = 4 * TILE;

struct BackwardArrays { const float *q, *k, *v, *y, *logSumExp, *dy; float *dq, *dk, *dv; ScoreRule rule; };

// Scratch of one part. Transposed arrays are [headDim][TILE], rows [TILE][paddedDim]; dk, dv: [keys of the longest segment][paddedDim].
struct Buffers { float *qT, *dyT, *dqT, *qRows, *dyRows, *p, *e, *own, *logSumExp, *dk, *dv; };

Size longestKeys(const AttentionShape& shape) {
  int most = 0;
  for (Size s = 0; s + 1 < shape.segments; s++) most = larger(most, shape.keySegments[s + 1] - shape.keySegments[s]);
  return static_cast<Size>(most);
}

Size backwardPartFloats(const AttentionShape& shape) {
  return 3 * shape.headDim * TILE + 2 * TILE * shape.paddedDim() + 2 * TILE * TILE + 2 * TILE + 2 * longestKeys(shape) * shape.paddedDim();
}

Buffers buffersAt(float* at, const AttentionShape& shape) {
  const Size transposed = shape.headDim * TILE, rows = TILE * shape.paddedDim();
  const auto take = [&](Size floats) { float* here = at; at += floats; return here; };
  return {take(transposed), take(transposed), take(transposed), take(rows), take(rows), take(TILE * TILE), take(TILE * TILE), take(TILE), take(TILE),
          take(longestKeys(shape) * shape.paddedDim()), take(longestKeys(shape) * shape.paddedDim())};
}

// Rows of a tile's columns, zero past headDim.
void packRows(float* out, const float* x, const AttentionShape& shape, const Segment& s, Size kvHead, const Columns& c) {
  const Size padded = shape.paddedDim();
  for (int i = 0; i < c.count; i++) {
    const float* row = x + columnOffset(shape, s, kvHead, c.begin + i);
    for (Size d = 0; d < padded; d++) out[static_cast<Size>(i) * padded + d] = d < shape.headDim ? row[d] : 0.f;
  }
}

// own = dy·y and logSumExp of each column; 0 past the last, where q and dy are 0 too.
void packColumnNumbers(const Buffers& b, const BackwardArrays& a, const AttentionShape& shape, const Segment& s, Size kvHead, const Columns& c) {
  const int group = static_cast<int>(shape.group());
  for (int i = 0; i < c.width; i++) b.own[i] = b.logSumExp[i] = 0;
  for (int i = 0; i < c.count; i++) {
    const int column = c.begin + i;
    const Size at = columnOffset(shape, s, kvHead, column);
    F32x sum{};
    Size d = 0;
    for (; d + WIDTH <= shape.headDim; d += WIDTH) sum = fma(load(a.dy + at + d), load(a.y + at + d), sum);
    if (d < shape.headDim) sum = fma(loadFirst(a.dy + at + d, static_cast<int>(shape.headDim - d)), loadFirst(a.y + at + d, static_cast<int>(shape.headDim - d)), sum);
    b.own[i] = sumOf(sum);
    b.logSumExp[i] = a.logSumExp[(kvHead * shape.group() + static_cast<Size>(column % group)) * shape.queries + static_cast<Size>(s.q0 + column / group)];
  }
}

// scores → p, dy·v → e. A masked entry is 0 whatever its numbers were.
template <bool MASK, bool RULE>
void weigh(const Buffers& b, const Columns& c, int key, int keys, const ScoreRule& rule) {
  for (int i = 0; i < keys; i++) {
    for (int j = 0; j < c.width; j += WIDTH) {
      float *pAt = b.p + i * TILE + j, *eAt = b.e + i * TILE + j;
      F32x score = load(pAt), slope;
      if constexpr (RULE) score = rule.capped(score, &slope) + c.bias(key + i, j);
      F32x p = exponential(score - load(b.logSumExp + j)), e = p * (load(eAt) - load(b.own + j)) * rule.scale;
      if constexpr (RULE) e = e * slope;
      if constexpr (MASK) {
        const I32x sees = c.sees(key + i, j);
        p = select(sees, p, F32x{});
        e = select(sees, e, F32x{});
      }
      store(pAt, p);
      store(eAt, e);
    }
  }
}

// What one item computes: the tiles [tile0, tile1) of columns against the keys [from, to) of their segment.
struct Item { Segment s; Size kvHead; int tile0, tile1, from, to; bool forKeys, forQueries; };

void addTile(const AttentionShape& shape, const Item& item, const Columns& c, const BackwardArrays& a, const Buffers& b) {
  const int dim = static_cast<int>(shape.headDim), padded = static_cast<int>(shape.paddedDim()), end = smaller(item.to, c.lastKey() + 1);
  const Size rows = shape.paddedDim(), stride = shape.keyStride();
  for (int key = larger(item.from, firstKeyTile(item.s, c.firstKey())); key < end; key += TILE) {
    const int keys = smaller(TILE, end - key);
    const Size at = static_cast<Size>(key) * stride + item.kvHead * shape.headDim, own = static_cast<Size>(key - item.from) * rows;
    tileProduct<false>({b.p, TILE}, {a.k + at, stride, 1}, {b.qT, TILE}, keys, c.width, dim);
    tileProduct<false>({b.e, TILE}, {a.v + at, stride, 1}, {b.dyT, TILE}, keys, c.width, dim);
    const bool mask = !c.seeAll(key, key + keys);
    if (a.rule.changesScores()) mask ? weigh<true, true>(b, c, key, keys, a.rule) : weigh<false, true>(b, c, key, keys, a.rule);
    else mask ? weigh<true, false>(b, c, key, keys, a.rule) : weigh<false, false>(b, c, key, keys, a.rule);
    if (item.forKeys) {
      tileProduct<true>({b.dv + own, rows}, {b.p, TILE, 1}, {b.dyRows, rows}, keys, padded, c.count);
      tileProduct<true>({b.dk + own, rows}, {b.e, TILE, 1}, {b.qRows, rows}, keys, padded, c.count);
    }
    if (item.forQueries) tileProduct<true>({b.dqT, TILE}, {a.k + at, 1, stride}, {b.e, TILE}, dim, c.width, keys);
  }
}

void clear(float* at, Size floats) { for (Size i = 0; i < floats; i++) at[i] = 0; }

void runItem(const AttentionShape& shape, const Item& item, const BackwardArrays& a, const Buffers& b) {
  const Size keys = static_cast<Size>(item.to - item.from), padded = shape.paddedDim();
  if (item.forKeys) { clear(b.dk, keys * padded); clear(b.dv, keys * padded); }
  for (int tile = item.tile0; tile < item.tile1; tile++) {
    const Columns c = columnsOf(shape, item.s, item.kvHead, tile, a.rule.slopes);
    const bool meets = c.lastKey() >= item.from && c.firstKey() < item.to;
    if (!meets && !item.forQueries) continue;
    packTransposed(b.qT, a.q, shape, item.s, item.kvHead, c, a.rule.scale);
    packTransposed(b.dyT, a.dy, shape, item.s, item.kvHead, c, 1);
    packColumnNumbers(b, a, shape, item.s, item.kvHead, c);
    if (item.forKeys) {
      packRows(b.qRows, a.q, shape, item.s, item.kvHead, c);
      packRows(b.dyRows, a.dy, shape, item.s, item.kvHead, c);
    }
    if (item.forQueries) clear(b.dqT, shape.headDim * TILE);
    addTile(shape, item, c, a, b);
    if (!item.forQueries) continue;
    for (int i = 0; i < c.count; i++) {
      float* dq = a.dq + columnOffset(shape, item.s, item.kvHead, c.begin + i);
      for (Size d = 0; d < shape.headDim; d++) dq[d] = b.dqT[d * TILE + static_cast<Size>(i)];
    }
  }
  if (!item.forKeys) return;
  for (Size i = 0; i < keys; i++) {
    const Size at = (static_cast<Size>(item.from) + i) * shape.keyStride() + item.kvHead * shape.headDim;
    for (Size d = 0; d < shape.headDim; d++) { a.dk[at + d] = b.dk[i * padded + d]; a.dv[at + d] = b.dv[i * padded + d]; }
  }
}

enum class Pass { both, keys, queries };

template <class Visit>
void visitItems(const AttentionShape& shape, Pass pass, int parts, int part, const Visit& visit) {
  const auto walk = [&](const auto& use) {
    for (Size seg = 0; seg + 1 < shape.segments; seg++) {
      const Segment s = shape.segment(seg);
      const int tiles = shape.tiles(s);
      for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
        if (pass == Pass::both) use(Item{s, kvHead, 0, tiles, s.k0, s.k1, true, true});
        if (pass == Pass::keys) for (int from = s.k0; from < s.k1; from += KEY_BLOCK) use(Item{s, kvHead, 0, tiles, from, smaller(from + KEY_BLOCK, s.k1), true, false});
        if (pass == Pass::queries) for (int tile = 0; tile < tiles; tile++) use(Item{s, kvHead, tile, tile + 1, s.k0, s.k1, false, true});
      }
    }
  };
  const auto cost = [&](const Item& item) {
    double sum = 1;
    for (int tile = item.tile0; tile < item.tile1; tile++) sum += larger(0.0, smaller(keysSeen(shape, item.s, tile) - (item.from - item.s.k0), static_cast<double>(item.to - item.from)));
    return sum;
  };
  visitShare<Item>(parts, part, walk, cost, [&](const Item& item) { visit(item, cost(item)); });
}

// True where one pass would leave threads idle for longer than two passes need for their 7 products in place of 5.
bool twoPassesPay(const AttentionShape& shape, int parts) {
  double most = 0, total = 0;
  for (int part = 0; part < parts; part++) {
    double own = 0;
    visitItems(shape, Pass::both, parts, part, [&](const Item&, double cost) { own += cost; });
    most = larger(most, own);
    total += own;
  }
  return 5 * most > 7 * 1.05 * total / parts;
}

// dq, dk, dv rows that belong to no segment.
void clearOutside(const AttentionShape& shape, const BackwardArrays& a) {
  const Size last = shape.segments - 1, q0 = static_cast<Size>(shape.querySegments[0]), q1 = static_cast<Size>(shape.querySegments[last]);
  const Size k0 = static_cast<Size>(shape.keySegments[0]), k1 = static_cast<Size>(shape.keySegments[last]);
  clear(a.dq, q0 * shape.queryStride());
  clear(a.dq + q1 * shape.queryStride(), (shape.queries - q1) * shape.queryStride());
  float* const ofKeys[] = {a.dk, a.dv};
  for (float* d : ofKeys) {
    clear(d, k0 * shape.keyStride());
    clear(d + k1 * shape.keyStride(), (shape.keys - k1) * shape.keyStride());
  }
}

// Floats of scratch that causalAttentionBackward needs.
Size causalAttentionBackwardScratch(Threads& threads, In<std::int32_t> querySegments, In<std::int32_t> keySegments, Size queries, Size keys, Size heads, Size kvHeads, Size headDim) {
  const AttentionShape shape{querySegments.data, keySegments.data, smaller(querySegments.size, keySegments.size), queries, keys, heads, kvHeads, headDim, 0};
  return shape.valid() ? static_cast<Size>(threads.count()) * backwardPartFloats(shape) : 0;
}

Status causalAttentionBackward(Threads& threads, In<float> q, In<float> k, In<float> v, In<std::int32_t> querySegments, In<std::int32_t> keySegments, OptionalIn<float> alibiSlopes, In<float> y, In<float> logSumExp, In<float> dy,
                               Out<float> dq, Out<float> dk, Out<float> dv, Out<float> scratch, Size queries, Size keys, Size heads, Size kvHeads, Size headDim, Size window, float scale, float softCap) {
  const Size ofQueries = queries * heads * headDim, ofKeys = keys * kvHeads * headDim;
  const In<float> likeQ[] = {q, y, dy}, likeK[] = {k, v};
  for (const In<float>& array : likeQ) QD_NEED(array, ofQueries);
  for (const In<float>& array : likeK) QD_NEED(array, ofKeys);
  QD_NEED(logSumExp, queries * heads);
  QD_NEED_IF_GIVEN(alibiSlopes, heads);
  QD_NEED(dq, ofQueries);
  QD_NEED(dk, ofKeys);
  QD_NEED(dv, ofKeys);
  const AttentionShape shape{querySegments.data, keySegments.data, smaller(querySegments.size, keySegments.size), queries, keys, heads, kvHeads, headDim, window};
  if (!shape.valid()) return unsupported(ATTENTION_SIZES);
  QD_NEED(scratch, causalAttentionBackwardScratch(threads, querySegments, keySegments, queries, keys, heads, kvHeads, headDim));
  const BackwardArrays arrays{q.data, k.data, v.data, y.data, logSumExp.data, dy.data, dq.data, dk.data, dv.data, {scale, softCap, alibiSlopes.data}};
  clearOutside(shape, arrays);
  const int parts = threads.partsFor(10.0 * static_cast<double>(ofQueries) * static_cast<double>(keys), ATTENTION_GRAIN);
  const bool twoPasses = twoPassesPay(shape, parts);
  threads.run(parts, [&](int part) {
    const Buffers buffers = buffersAt(scratch.data + static_cast<Size>(part) * backwardPartFloats(shape), shape);
    const auto run = [&](Pass pass) { visitItems(shape, pass, parts, part, [&](const Item& item, double) { runItem(shape, item, arrays, buffers); }); };
    if (!twoPasses) return run(Pass::both);
    run(Pass::keys);
    run(Pass::queries);
  });
  return ok();
}

}  // namespace
QD_EXPORT(causalAttentionBackwardScratch)
QD_EXPORT(causalAttentionBackward)
}  // namespace qdylora::QD_LEVEL
