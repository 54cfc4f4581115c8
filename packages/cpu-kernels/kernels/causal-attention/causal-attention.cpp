// Causal attention over packed segments with a running softmax (Milakov & Gimelshein 2018; Dao et al. 2022).
// A part owns (segment, kv head, 64 columns) items, see native/attention-tiles.h; lanes are columns. Up to 8 columns (decoding) stream K and V row by row,
// see native/attention-decode.h; a long key range is then cut into chunks of 512 keys, joined in order. The gradient is causal-attention.backward.cpp.
// 4·headDim operations per visible (query, key) pair, and an exponential; never a T × T matrix. Decoding reads K and V once: bound by memory.
// Assumes contiguous rows; segments and sizes are checked below.
// Dropped: decoding by tiles too: lanes are half empty (8/8 heads of 64, 4,096 keys, one core of a busy Zen 3: 6.9 GB/s by tiles, 12.7 by rows).
#include "../../native/attention-decode.h"

namespace qdylora::QD_LEVEL {
namespace {

// Below any score, and finite: LOWEST − LOWEST is 0, not NaN.
constexpr float LOWEST = -3.4028235e38f;

bool hasFewColumns(const AttentionShape& shape, const Segment& s) { return shape.columns(s) <= FEW_COLUMNS; }

// Key chunks of a segment: more than one where one tile of columns meets many keys, whatever the number of threads.
int chunksOf(const AttentionShape& shape, const Segment& s) {
  const int keys = s.k1 - s.k0;
  return (shape.tiles(s) == 1 && keys > 2 * CHUNK) || (hasFewColumns(shape, s) && keys > CHUNK) ? (keys + CHUNK - 1) / CHUNK : 1;
}

// Scratch of one part, and of one partial result of a chunk.
Size forwardPartFloats(const AttentionShape& shape) { return shape.headDim * TILE + shape.paddedDim() * TILE + TILE * TILE + 2 * TILE; }
Size partialFloats(const AttentionShape& shape) { return shape.headDim * TILE + 2 * TILE; }
Softmax softmaxAt(float* at) { return {at, at + TILE, at + 2 * TILE}; }

Size partialCount(const AttentionShape& shape) {
  Size count = 0;
  for (Size s = 0; s + 1 < shape.segments; s++) {
    const int chunks = chunksOf(shape, shape.segment(s));
    if (chunks > 1) count += static_cast<Size>(chunks) * shape.kvHeads;
  }
  return count;
}

// One piece of forward work. `partial`: where its chunk's result goes, counted in partials, or −1.
struct Item { Segment s; Size kvHead; int tile, from, to, partial, chunk, chunks; };

void applyRule(float* scores, const Columns& c, int key, int keys, const ScoreRule& rule) {
  for (int i = 0; i < keys; i++) {
    for (int j = 0; j < c.width; j += WIDTH) {
      float* at = scores + i * TILE + j;
      F32x derivative;
      store(at, rule.capped(load(at), &derivative) + c.bias(key + i, j));
    }
  }
}

void maskScores(float* scores, const Columns& c, int key, int keys) {
  for (int i = 0; i < keys; i++) {
    for (int j = 0; j < c.width; j += WIDTH) {
      float* at = scores + i * TILE + j;
      store(at, select(c.sees(key + i, j), load(at), all(-__builtin_inff())));
    }
  }
}

// scores → p = exp(score − largest) for one tile of keys; rescales what was summed before.
void updateSoftmax(const Softmax& state, float* scores, const Columns& c, int keys, Size headDim) {
  for (int j = 0; j < c.width; j += WIDTH) {
    const F32x before = load(state.largest + j);
    F32x most[2] = {before, before};
    for (int i = 0; i < keys; i++) most[i & 1] = larger(load(scores + i * TILE + j), most[i & 1]);
    const F32x now = larger(most[0], most[1]), factor = exponential(before - now);
    F32x sum = load(state.sum + j) * factor;
    for (int i = 0; i < keys; i++) {
      const F32x p = exponential(load(scores + i * TILE + j) - now);
      store(scores + i * TILE + j, p);
      sum = sum + p;
    }
    store(state.largest + j, now);
    store(state.sum + j, sum);
    if (sumOf(absolute(factor - 1.f)) == 0.f) continue;
    for (Size d = 0; d < headDim; d++) store(state.o + d * TILE + j, load(state.o + d * TILE + j) * factor);
  }
}

struct ForwardArrays { const float *q, *k, *v; float *y, *logSumExp; ScoreRule rule; };

// The columns' softmax over the item's keys.
void attend(const AttentionShape& shape, const Item& item, const Columns& c, const ForwardArrays& a, float* qT, float* scores, const Softmax& state) {
  packTransposed(qT, a.q, shape, item.s, item.kvHead, c, a.rule.scale);
  for (int j = 0; j < c.width; j += WIDTH) { store(state.largest + j, all(LOWEST)); store(state.sum + j, F32x{}); }
  for (Size d = 0; d < shape.headDim; d++) for (int j = 0; j < c.width; j += WIDTH) store(state.o + d * TILE + j, F32x{});
  const int dim = static_cast<int>(shape.headDim), end = smaller(item.to, c.lastKey() + 1);
  for (int key = larger(item.from, firstKeyTile(item.s, c.firstKey())); key < end; key += TILE) {
    const int keys = smaller(TILE, end - key);
    const Size at = static_cast<Size>(key) * shape.keyStride() + item.kvHead * shape.headDim;
    tileProduct<false>({scores, TILE}, {a.k + at, shape.keyStride(), 1}, {qT, TILE}, keys, c.width, dim);
    if (a.rule.changesScores()) applyRule(scores, c, key, keys, a.rule);
    if (!c.seeAll(key, key + keys)) maskScores(scores, c, key, keys);
    updateSoftmax(state, scores, c, keys, shape.headDim);
    tileProduct<true>({state.o, TILE}, {a.v + at, 1, shape.keyStride()}, {scores, TILE}, dim, c.width, keys);
  }
}

// The same for at most 8 columns and CHUNK keys; `q` has room for the rows of q and of o.
void attendFew(const AttentionShape& shape, const Item& item, const Columns& c, const ForwardArrays& a, float* q, float* scores, const Softmax& state) {
  const int from = larger(item.from, c.firstKey()), keys = larger(0, smaller(item.to, c.lastKey() + 1) - from);
  const Size padded = shape.paddedDim(), at = static_cast<Size>(from) * shape.keyStride() + item.kvHead * shape.headDim;
  for (int i = 0; i < c.count; i++) {
    const float* row = a.q + columnOffset(shape, item.s, item.kvHead, c.begin + i);
    for (Size d = 0; d < padded; d++) q[static_cast<Size>(i) * padded + d] = d < shape.headDim ? row[d] * a.rule.scale : 0.f;
  }
  attendFewColumns({a.k + at, a.v + at, shape.keyStride(), shape.headDim, padded, from, keys}, c, q, scores, q + FEW_COLUMNS * padded, LOWEST, a.rule, state);
}

void writeOutput(const AttentionShape& shape, const Segment& s, Size kvHead, const Columns& c, const ForwardArrays& a, const Softmax& state) {
  for (int i = 0; i < c.count; i++) {
    const int column = c.begin + i, group = static_cast<int>(shape.group());
    float* y = a.y + columnOffset(shape, s, kvHead, column);
    for (Size d = 0; d < shape.headDim; d++) y[d] = state.o[d * TILE + static_cast<Size>(i)] / state.sum[i];
    const float none = -__builtin_inff();  // a query that sees no key
    a.logSumExp[(kvHead * shape.group() + static_cast<Size>(column % group)) * shape.queries + static_cast<Size>(s.q0 + column / group)] =
        state.sum[i] == 0.f ? none : state.largest[i] + logarithm(state.sum[i]);
  }
}

// Joins the chunks of one (segment, kv head), in order, into the first one.
void joinChunks(const AttentionShape& shape, const Columns& c, float* partials, int chunks) {
  const Softmax whole = softmaxAt(partials);
  for (int chunk = 1; chunk < chunks; chunk++) {
    const Softmax next = softmaxAt(partials + static_cast<Size>(chunk) * partialFloats(shape));
    for (int j = 0; j < c.width; j += WIDTH) {
      const F32x a = load(whole.largest + j), b = load(next.largest + j), most = larger(a, b), fa = exponential(a - most), fb = exponential(b - most);
      store(whole.largest + j, most);
      store(whole.sum + j, fma(load(whole.sum + j), fa, load(next.sum + j) * fb));
      for (Size d = 0; d < shape.headDim; d++) {
        float* at = whole.o + d * TILE + j;
        store(at, fma(load(at), fa, load(next.o + d * TILE + j) * fb));
      }
    }
  }
}

// Visits this part's share of the items.
template <class Visit>
void visitForwardItems(const AttentionShape& shape, int parts, int part, const Visit& visit) {
  const auto walk = [&](const auto& use) {
    int partial = 0;
    for (Size seg = 0; seg + 1 < shape.segments; seg++) {
      const Segment s = shape.segment(seg);
      const int tiles = shape.tiles(s), chunks = chunksOf(shape, s);
      for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
        for (int i = 0; i < tiles * chunks; i++) {
          const int chunk = i % chunks, from = s.k0 + chunk * CHUNK, to = chunks > 1 ? smaller(from + CHUNK, s.k1) : s.k1;
          use(Item{s, kvHead, i / chunks, from, to, chunks > 1 ? partial++ : -1, chunk, chunks});
        }
      }
    }
  };
  visitShare<Item>(parts, part, walk, [&](const Item& item) { return 16 + smaller(keysSeen(shape, item.s, item.tile), static_cast<double>(item.to - item.from)); }, visit);
}

AttentionShape shapeOf(In<std::int32_t> querySegments, In<std::int32_t> keySegments, Size queries, Size keys, Size heads, Size kvHeads, Size headDim, Size window) {
  return {querySegments.data, keySegments.data, smaller(querySegments.size, keySegments.size), queries, keys, heads, kvHeads, headDim, window};
}

// Floats of scratch that causalAttention needs.
Size causalAttentionScratch(Threads& threads, In<std::int32_t> querySegments, In<std::int32_t> keySegments, Size queries, Size keys, Size heads, Size kvHeads, Size headDim) {
  const AttentionShape shape = shapeOf(querySegments, keySegments, queries, keys, heads, kvHeads, headDim, 0);
  if (!shape.valid()) return 0;
  return static_cast<Size>(threads.count()) * forwardPartFloats(shape) + partialCount(shape) * partialFloats(shape);
}

Status causalAttention(Threads& threads, In<float> q, In<float> k, In<float> v, In<std::int32_t> querySegments, In<std::int32_t> keySegments, OptionalIn<float> alibiSlopes,
                       Out<float> y, Out<float> logSumExp, Out<float> scratch,
                       Size queries, Size keys, Size heads, Size kvHeads, Size headDim, Size window, float scale, float softCap) {
  QD_NEED(q, queries * heads * headDim);
  QD_NEED(k, keys * kvHeads * headDim);
  QD_NEED(v, keys * kvHeads * headDim);
  QD_NEED_IF_GIVEN(alibiSlopes, heads);
  QD_NEED(y, queries * heads * headDim);
  QD_NEED(logSumExp, queries * heads);
  const AttentionShape shape = shapeOf(querySegments, keySegments, queries, keys, heads, kvHeads, headDim, window);
  if (!shape.valid()) return unsupported(ATTENTION_SIZES);
  QD_NEED(scratch, causalAttentionScratch(threads, querySegments, keySegments, queries, keys, heads, kvHeads, headDim));
  const ForwardArrays arrays{q.data, k.data, v.data, y.data, logSumExp.data, {scale, softCap, alibiSlopes.data}};
  const Size partials = partialCount(shape), perPart = forwardPartFloats(shape);
  float* const firstPartial = scratch.data + static_cast<Size>(threads.count()) * perPart;
  const int parts = threads.partsFor(4.0 * static_cast<double>(queries * heads * headDim) * static_cast<double>(keys), ATTENTION_GRAIN);
  threads.run(parts, [&](int part) {
    float *own = scratch.data + static_cast<Size>(part) * perPart, *qT = own, *scores = qT + shape.paddedDim() * TILE, *state = scores + TILE * TILE;
    visitForwardItems(shape, parts, part, [&](const Item& item) {
      const Columns c = columnsOf(shape, item.s, item.kvHead, item.tile, alibiSlopes.data);
      const Softmax result = softmaxAt(item.partial < 0 ? state : firstPartial + static_cast<Size>(item.partial) * partialFloats(shape));
      if (hasFewColumns(shape, item.s)) attendFew(shape, item, c, arrays, qT, scores, result);
      else attend(shape, item, c, arrays, qT, scores, result);
      if (item.partial < 0) writeOutput(shape, item.s, item.kvHead, c, arrays, result);
    });
    if (partials == 0) return;
    threads.barrier();
    visitForwardItems(shape, 1, 0, [&](const Item& item) {
      if (item.partial < 0 || item.chunk > 0 || (item.partial / item.chunks) % parts != part) return;
      const Columns c = columnsOf(shape, item.s, item.kvHead, item.tile, alibiSlopes.data);
      float* at = firstPartial + static_cast<Size>(item.partial) * partialFloats(shape);
      joinChunks(shape, c, at, item.chunks);
      writeOutput(shape, item.s, item.kvHead, c, arrays, softmaxAt(at));
    });
  });
  return ok();
}

}  // namespace
QD_EXPORT(causalAttentionScratch)
QD_EXPORT(causalAttention)
}  // namespace qdylora::QD_LEVEL
