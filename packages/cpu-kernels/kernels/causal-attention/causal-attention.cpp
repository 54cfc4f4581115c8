// Causal attention over packed segments with a running softmax (Milakov & Gimelshein 2018; Dao et al. 2022).
// A part owns (segment, kv head, 32 columns) items, see native/attention-tiles.h; lanes are columns. Up to 8
//   columns (decoding) are items of (segment, up to 128 keys), see
// native/attention-decode.h. In bf16 the products go by pairs, K and V being rounded once per call. The
//   gradient is causal-attention.backward.cpp.
// 4·headDim operations per visible (query, key) pair and an exponential; never a T × T matrix. Decoding reads
//   K and V once: bound by memory.
// Assumes contiguous rows; segments and sizes are checked below. Dropped: decoding by tiles (lanes half
//   empty), 64 columns a tile (more masked work at the diagonal).
#include "../../native/attention-decode.h"
#include "../../native/attention-words.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr int COLUMNS = 32;
// Keys of one item where a segment has a single tile of columns: then the keys are what threads share.
constexpr int CHUNK = 8 * KEY_TILE;
// Below any exponent, and finite: LOWEST − LOWEST is 0, not NaN.
constexpr float LOWEST = -3.4028235e38f;
// Exponents of 2 that a score may lie above the number that is subtracted, before everything summed so far is
// rescaled.
constexpr float SLACK = 8;

// Running softmax of one tile of columns, exponents in powers of 2: o holds Σ p·v, transposed
// ([headDim][COLUMNS]), not yet divided by the sum.
struct Softmax {
  float *largest, *sum, *o;
};
Softmax softmaxAt(float* at) { return {at, at + COLUMNS, at + 2 * COLUMNS}; }
Size softmaxFloats(const AttentionShape& shape) { return (shape.laneRows() + 2) * COLUMNS; }

int chunksOf(const AttentionShape& shape, const Segment& s) {
  if (hasFewColumns(shape, s)) return shape.columns(s) > 0 ? fewChunks(s) : 0;
  return shape.tiles(s, COLUMNS) == 1 && s.keys() > 2 * CHUNK ? (s.keys() + CHUNK - 1) / CHUNK : 1;
}

// Floats that the chunks of a segment leave to be joined, per (kv head, chunk) of a tile, or per chunk of few
// columns.
Size partialFloats(const AttentionShape& shape, const Segment& s) {
  return hasFewColumns(shape, s) ? FewPartials::floats(shape, s) : softmaxFloats(shape);
}
Size partialsOf(const AttentionShape& shape, const Segment& s) {
  if (hasFewColumns(shape, s))
    return static_cast<Size>(shape.columns(s) > 0 ? mostFewChunks(s) : 0) * partialFloats(shape, s);
  const int chunks = chunksOf(shape, s);
  return chunks > 1 ? static_cast<Size>(chunks) * shape.kvHeads * partialFloats(shape, s) : 0;
}

// Scratch: each part's own, then the partial results, then packed keys and values.
Size partFloats(const AttentionShape& shape) {
  return larger(shape.laneRows() * COLUMNS + KEY_TILE * COLUMNS + COLUMNS + softmaxFloats(shape),
                fewScratchFloats(shape));
}
// Those of all segments, the last one grown to the end of k: a cache fills up, and scratch that was asked for
// once is enough until it is full.
Size allPartials(const AttentionShape& shape) {
  Size floats = 0;
  for (Size s = 0; s + 1 < shape.segments; s++) {
    Segment segment = shape.segment(s);
    if (s + 2 == shape.segments) segment.k1 = static_cast<int>(shape.keys);
    floats += partialsOf(shape, segment);
  }
  return floats;
}
bool packs(const AttentionShape& shape, bool bf16) {
  bool some = false;
  for (Size s = 0; s + 1 < shape.segments; s++) some = some || !hasFewColumns(shape, shape.segment(s));
  return BF16_PAIRS && bf16 && some;
}
// True where something reads q, k and v as floats.
bool readsFloats(const AttentionShape& shape, bool bf16) {
  bool few = false;
  for (Size s = 0; s + 1 < shape.segments; s++) few = few || hasFewColumns(shape, shape.segment(s));
  return few || !packs(shape, bf16);
}
// Floats of q, y, k and v, where they are bf16 and have to be widened.
Size widenedFloats(const AttentionShape& shape) {
  return 2 * (shape.queries * shape.queryStride() + shape.keys * shape.keyStride());
}

struct ForwardArrays {
  Numbers q, k, v;
  Results y;
  float* logSumExp;
  ScoreRule rule;
  PackedKeys packedK, packedV;
};

// One piece of work: a tile of columns of one kv head, or (kvHead = kvHeads) few columns of all. `partial`:
// where its result goes, in floats; −1 where it is the whole.
struct Item {
  Segment s;
  Size kvHead;
  int tile, from, to, chunk, chunks;
  std::ptrdiff_t partial;
};

// Visits this part's share of the items.
template <class Visit>
void visitItems(const AttentionShape& shape, int parts, int part, const Visit& visit) {
  const auto walk = [&](const auto& use) {
    Size partial = 0;
    for (Size seg = 0; seg + 1 < shape.segments; seg++) {
      const Segment s = shape.segment(seg);
      const bool few = hasFewColumns(shape, s);
      const int tiles = few ? 1 : shape.tiles(s, COLUMNS);
      const int chunks = chunksOf(shape, s);
      const int step = few ? fewStep(s) : CHUNK;
      for (Size kvHead = few ? shape.kvHeads : 0; kvHead < shape.kvHeads + (few ? 1 : 0); kvHead++) {
        for (int i = 0; i < tiles * chunks; i++) {
          const int chunk = i % chunks;
          const int from = s.k0 + chunk * step;
          const int to = few || chunks > 1 ? smaller(from + step, s.k1) : s.k1;
          const bool isPart = few || chunks > 1;
          use(Item{s, kvHead, i / chunks, from, to, chunk, chunks,
                   isPart ? static_cast<std::ptrdiff_t>(partial) : -1});
          if (isPart) partial += partialFloats(shape, s);
        }
      }
    }
  };
  const auto cost = [&](const Item& item) {
    const double keys = item.to - item.from;
    return 16 + (item.kvHead == shape.kvHeads
                     ? static_cast<double>(fewKeys(shape, item.s, item.from, item.to)) *
                           static_cast<double>(shape.kvHeads)
                     : smaller(keysSeen(shape, item.s, item.tile, COLUMNS), keys));
  };
  visitShare<Item>(parts, part, walk, cost, visit);
}

// Where a rule does more than scale, or columns don't see all keys.
void ruleAndMask(float* scores, const Columns& c, int key, int rows, const ScoreRule& rule, bool mask) {
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < c.width; j += WIDTH) {
      float* at = scores + i * COLUMNS + j;
      F32x derivative, score = load(at);
      if (rule.changesScores()) score = rule.capped(score, &derivative) + c.bias(key + i, j);
      store(at, mask ? select(c.sees(key + i, j), score, all(-__builtin_inff())) : score);
    }
  }
}

// scores → p = 2^(factor · score − largest) for one tile of keys, as words; `rescale`: what sums so far have
// to be multiplied by. False where that is 1 for all.
template <class Word>
bool updateSoftmax(const Softmax& state, float* scores, float* rescale, const Columns& c, int rows,
                   float factor) {
  bool rescaled = false;
  for (int j = 0; j < c.width; j += WIDTH) {
    float* at = scores + j;
    const F32x before = load(state.largest + j);
    F32x even = load(at), odd = even;
    int row = 0;
    for (; row + 2 <= rows; row += 2) {
      even = larger(load(at + row * COLUMNS), even);
      odd = larger(load(at + (row + 1) * COLUMNS), odd);
    }
    if (row < rows) even = larger(load(at + row * COLUMNS), even);
    const F32x highest = larger(even, odd) * factor;
    const F32x now = select(highest > before + SLACK, highest, before);
    const F32x change = exponential2(before - now);
    F32x sum = load(state.sum + j) * change;
    for (int i = 0; i < rows; i += PER_WORD<Word>) {
      const F32x p = exponential2(fma(load(at + i * COLUMNS), all(factor), -now));
      sum = sum + p;
      if constexpr (IS_PAIR<Word>) {
        const F32x next = exponential2(fma(load(at + (i + 1) * COLUMNS), all(factor), -now));
        sum = sum + next;
        storeI32(at + i / 2 * COLUMNS, zipToBf16(p, next));
      } else {
        store(at + i * COLUMNS, p);
      }
    }
    store(state.largest + j, now);
    store(state.sum + j, sum);
    store(rescale + j, change);
    rescaled = rescaled || sumOf(absolute(change - 1.f)) != 0.f;
  }
  return rescaled;
}

// The columns' softmax over the item's keys.
template <class Word>
void attend(const AttentionShape& shape, const Item& item, const Columns& c, const ForwardArrays& a,
            float* scratch, const Softmax& state) {
  Word* q = reinterpret_cast<Word*>(scratch);
  float *scores = scratch + shape.laneRows() * COLUMNS, *rescale = scores + KEY_TILE * COLUMNS;
  packColumns(q, COLUMNS, a.q, shape, c);
  for (int j = 0; j < c.width; j += WIDTH) {
    store(state.largest + j, all(LOWEST));
    store(state.sum + j, F32x{});
  }
  const int dim = dimRows<Word>(shape);
  const int words = static_cast<int>(depthWords<Word>(shape));
  const int end = smaller(item.to, c.lastKey() + 1);
  bool empty = true;
  for (int key = larger(item.from, firstKeyTile(item.s, c.firstKey())); key < end;
       key += KEY_TILE, empty = false) {
    const int rows = rowsOf<Word>(smaller(KEY_TILE, end - key));
    const TileLeft<Word> k = keySide<Word>(a.k, a.packedK, shape, item.s, item.kvHead, key).alongHead;
    const TileLeft<Word> v = keySide<Word>(a.v, a.packedV, shape, item.s, item.kvHead, key).alongKeys;
    tileProduct<Sums::set, Word>({scores, COLUMNS}, k, {q, COLUMNS}, rows, c.width, words);
    const bool mask = !c.seeAll(key, key + rows);
    if (mask || a.rule.changesScores()) ruleAndMask(scores, c, key, rows, a.rule, mask);
    const bool rescaled = updateSoftmax<Word>(state, scores, rescale, c, rows, a.rule.toExponent());
    const TileRight<Word> p{reinterpret_cast<const Word*>(scores), COLUMNS};
    if (empty)
      tileProduct<Sums::set, Word>({state.o, COLUMNS}, v, p, dim, c.width, rows / PER_WORD<Word>);
    else if (rescaled)
      tileProduct<Sums::scale, Word>({state.o, COLUMNS}, v, p, dim, c.width, rows / PER_WORD<Word>, rescale);
    else
      tileProduct<Sums::add, Word>({state.o, COLUMNS}, v, p, dim, c.width, rows / PER_WORD<Word>);
  }
  for (int i = 0; empty && i < dim; i++)
    for (int j = 0; j < c.width; j += WIDTH) store(state.o + i * COLUMNS + j, F32x{});
}

void writeOutput(const AttentionShape& shape, const Columns& c, const ForwardArrays& a,
                 const Softmax& state) {
  alignas(64) float inverse[COLUMNS];
  for (int j = 0; j < c.width; j += WIDTH) store(inverse + j, 1.f / load(state.sum + j));
  writeColumns(a.y, state.o, COLUMNS, shape, c, inverse, false);
  for (int i = 0; i < c.count; i++) {
    const float none = -__builtin_inff();  // a query that sees no key
    a.logSumExp[c.number[i]] =
        state.sum[i] == 0.f ? none : fma(all(state.largest[i]), all(LN_2), all(logarithm(state.sum[i])))[0];
  }
}

// Joins the chunks of one (segment, kv head), in order, into the first one.
void joinChunks(const AttentionShape& shape, const Columns& c, float* partials, int chunks) {
  const Softmax whole = softmaxAt(partials);
  for (int chunk = 1; chunk < chunks; chunk++) {
    const Softmax next = softmaxAt(partials + static_cast<Size>(chunk) * softmaxFloats(shape));
    for (int j = 0; j < c.width; j += WIDTH) {
      const F32x a = load(whole.largest + j);
      const F32x b = load(next.largest + j);
      const F32x most = larger(a, b);
      const F32x fa = exponential2(a - most);
      const F32x fb = exponential2(b - most);
      store(whole.largest + j, most);
      store(whole.sum + j, fma(load(whole.sum + j), fa, load(next.sum + j) * fb));
      for (Size d = 0; d < shape.headDim; d++) {
        float* at = whole.o + d * COLUMNS + j;
        store(at, fma(load(at), fa, load(next.o + d * COLUMNS + j) * fb));
      }
    }
  }
}

void runItem(const AttentionShape& shape, const Item& item, const ForwardArrays& a, float* scratch,
             float* partials) {
  float* partial = partials + larger<std::ptrdiff_t>(item.partial, 0);
  if (item.kvHead == shape.kvHeads)
    return attendFew(shape, item.s, item.from, item.to, {a.q.f32, a.k.f32, a.v.f32}, a.rule, LOWEST, scratch,
                     FewPartials::at(partial, shape, item.s));
  const Columns c = columnsOf(shape, item.s, item.kvHead, item.tile, COLUMNS, a.rule.slopes);
  const Softmax state = softmaxAt(
      item.partial < 0 ? scratch + shape.laneRows() * COLUMNS + KEY_TILE * COLUMNS + COLUMNS : partial);
  if constexpr (BF16_PAIRS) {
    if (a.packedK.rows)
      attend<std::int32_t>(shape, item, c, a, scratch, state);
    else
      attend<float>(shape, item, c, a, scratch, state);
  } else {
    attend<float>(shape, item, c, a, scratch, state);
  }
  if (item.partial < 0) writeOutput(shape, c, a, state);
}

// Joins what this part has to join: whole kv heads of tiles, columns of few.
void joinItem(const AttentionShape& shape, const Item& item, const ForwardArrays& a, float* partials,
              int parts, int part) {
  if (item.partial < 0 || item.chunk > 0) return;
  float* place = partials + item.partial;
  if (item.kvHead < shape.kvHeads) {
    if (static_cast<int>(item.kvHead % static_cast<Size>(parts)) != part) return;
    const Columns c = columnsOf(shape, item.s, item.kvHead, item.tile, COLUMNS, a.rule.slopes);
    joinChunks(shape, c, place, item.chunks);
    return writeOutput(shape, c, a, softmaxAt(place));
  }
  for (Size kvHead = static_cast<Size>(part); kvHead < shape.kvHeads; kvHead += static_cast<Size>(parts)) {
    const Columns c = columnsOf(shape, item.s, kvHead, 0, FEW_COLUMNS, nullptr);
    for (int column = 0; column < c.count; column++)
      joinFew(shape, item.s, kvHead, c, column, place, partialFloats(shape, item.s), item.chunks, LOWEST,
              a.y.f32, a.logSumExp);
  }
}

void packKeysAndValues(const AttentionShape& shape, const ForwardArrays& a, int parts, int part) {
  for (Size seg = 0; seg + 1 < shape.segments; seg++) {
    const Segment s = shape.segment(seg);
    if (!hasFewColumns(shape, s)) packKeysAndValues(a.packedK, a.k, a.packedV, a.v, shape, s, parts, part);
  }
}

AttentionShape shapeOf(In<std::int32_t> querySegments, In<std::int32_t> keySegments, Size queries, Size keys,
                       Size heads, Size kvHeads, Size headDim, Size window) {
  return {querySegments.data,
          keySegments.data,
          smaller(querySegments.size, keySegments.size),
          queries,
          keys,
          heads,
          kvHeads,
          headDim,
          window};
}

// Floats of scratch that causalAttention needs.
Size causalAttentionScratch(Threads& threads, In<std::int32_t> querySegments, In<std::int32_t> keySegments,
                            Size queries, Size keys, Size heads, Size kvHeads, Size headDim, bool bf16,
                            bool half) {
  const AttentionShape shape = shapeOf(querySegments, keySegments, queries, keys, heads, kvHeads, headDim, 0);
  if (shape.problem()) return 0;
  return static_cast<Size>(threads.count()) * partFloats(shape) + allPartials(shape) +
         (packs(shape, bf16) ? packedRowsWords(shape) + packedPairsWords(shape) : 0) +
         (half && readsFloats(shape, bf16) ? widenedFloats(shape) : 0);
}

Status causalAttention(Threads& threads, Dense q, Dense k, Dense v, In<std::int32_t> querySegments,
                       In<std::int32_t> keySegments, OptionalIn<float> alibiSlopes, OutDense y,
                       Out<float> logSumExp, Out<float> scratch, Size queries, Size keys, Size heads,
                       Size kvHeads, Size headDim, bool bf16, Size window, float scale, float softCap) {
  QD_NEED(q, times(queries, heads, headDim));
  QD_NEED(k, times(keys, kvHeads, headDim));
  QD_NEED(v, times(keys, kvHeads, headDim));
  QD_NEED_IF_GIVEN(alibiSlopes, heads);
  QD_NEED(y, times(queries, heads, headDim));
  QD_NEED(logSumExp, times(queries, heads));
  const AttentionShape shape =
      shapeOf(querySegments, keySegments, queries, keys, heads, kvHeads, headDim, window);
  if (const char* problem = shape.problem()) return unsupported(problem);
  const bool half = q.bf16 != nullptr;
  if (!k.bf16 == half || !v.bf16 == half || !y.bf16 == half)
    return unsupported("expected q, k, v and y of one type");
  QD_NEED(scratch, causalAttentionScratch(threads, querySegments, keySegments, queries, keys, heads, kvHeads,
                                          headDim, bf16, half));
  float *partials = scratch.data + static_cast<Size>(threads.count()) * partFloats(shape),
        *packed = partials + allPartials(shape);
  ForwardArrays arrays{{q.f32, q.bf16},
                       {k.f32, k.bf16},
                       {v.f32, v.bf16},
                       {y.f32, y.bf16},
                       logSumExp.data,
                       {scale, softCap, alibiSlopes.data},
                       {},
                       {}};
  float* widened = packed;
  if (packs(shape, bf16)) {
    arrays.packedK.rows = reinterpret_cast<std::int32_t*>(packed);
    arrays.packedV.keyPairs = arrays.packedK.rows + packedRowsWords(shape);
    widened += packedRowsWords(shape) + packedPairsWords(shape);
  }
  const bool widens = half && readsFloats(shape, bf16);
  const Size ofQueries = queries * heads * headDim;
  const Size ofKeys = keys * kvHeads * headDim;
  float *const qFloats = widened, *const yFloats = qFloats + ofQueries, *const kFloats = yFloats + ofQueries,
               *const vFloats = kFloats + ofKeys;
  if (widens) {
    arrays.q = {qFloats, nullptr};
    arrays.k = {kFloats, nullptr};
    arrays.v = {vFloats, nullptr};
    arrays.y = {yFloats, nullptr};
  }
  const double keysInUse = keySegments.data[shape.segments - 1] - keySegments.data[0];
  const int parts = threads.partsFor(4.0 * static_cast<double>(queries * heads * headDim) * keysInUse,
                                     queries * shape.group() <= FEW_COLUMNS ? FEW_GRAIN : ATTENTION_GRAIN);
  threads.run(parts, [&](int part) {
    [[maybe_unused]] const TileRegisters registers;
    if (widens) {
      convertShare(q.bf16, qFloats, ofQueries, parts, part);
      convertShare(y.bf16, yFloats, ofQueries, parts, part);  // rows that belong to no segment stay
      convertShare(k.bf16, kFloats, ofKeys, parts, part);
      convertShare(v.bf16, vFloats, ofKeys, parts, part);
      threads.barrier();
    }
    if (arrays.packedK.rows) {
      packKeysAndValues(shape, arrays, parts, part);
      threads.barrier();
    }
    visitItems(shape, parts, part, [&](const Item& item) {
      runItem(shape, item, arrays, scratch.data + static_cast<Size>(part) * partFloats(shape), partials);
    });
    if (allPartials(shape) > 0) {
      threads.barrier();
      visitItems(shape, 1, 0,
                 [&](const Item& item) { joinItem(shape, item, arrays, partials, parts, part); });
    }
    if (!widens) return;
    threads.barrier();
    convertShare(yFloats, y.bf16, ofQueries, parts, part);
  });
  return ok();
}

}  // namespace
QD_EXPORT(causalAttentionScratch)
QD_EXPORT(causalAttention)
}  // namespace qdylora::QD_LEVEL
