// Computes: causal attention over packed segments: y = softmax(rule(q·kᵀ))·v with a running softmax, and the
//   logarithm of its sum for the gradient (causal-attention.backward.cpp).
// Owners: a thread owns items: (segment, kv head, 32 columns), lanes = columns (native/attention/tiles.h);
//   or, for at most 4 queries and 32 columns as in decoding, (segment, 64 keys), lanes = keys
//   (native/attention/decode.h). In bf16 the products multiply pairs, and K and V are rounded once per call.
// Cost: 4·headDim operations and one exponential per visible (query, key) pair, and never a T × T matrix.
//   Decoding reads K and V once: it is bound by memory.
// Assumes: contiguous rows. Lengths, types, segments and sizes are checked in causalAttention.
// Dropped: decoding by tiles (half of the lanes empty); 64 columns a tile (more masked work at the diagonal).
#include "causal-attention.items.h"

namespace qdylora::QD_LEVEL {
namespace {

// Scratch of one thread: of a tile, or of few columns.
Size partFloats(const AttentionShape& shape) {
  return larger(shape.laneRows() * COLUMNS + KEY_TILE * COLUMNS + COLUMNS + softmaxFloats(shape),
                fewScratchFloats(shape));
}

// True where keys and values are packed in pairs.
bool packs(const AttentionShape& shape, bool bf16) {
  bool some = false;
  for (Size s = 0; s + 1 < shape.segments; s++) some = some || !hasFewColumns(shape, shape.segment(s));
  return BF16_PAIRS && bf16 && some;
}

// True where some segment reads q, k and v as floats.
bool readsFloats(const AttentionShape& shape, bool bf16) {
  bool few = false;
  for (Size s = 0; s + 1 < shape.segments; s++) few = few || hasFewColumns(shape, shape.segment(s));
  return few || !packs(shape, bf16);
}

// Floats of q, y, k and v, where they are bf16 and have to be widened.
Size widenedFloats(const AttentionShape& shape) {
  return 2 * (shape.queries * shape.queryStride() + shape.keys * shape.keyStride());
}

void runItem(const AttentionShape& shape, const Item& item, const ForwardArrays& a, float* scratch,
             float* partials) {
  float* partial = partials + larger<std::ptrdiff_t>(item.partial, 0);
  if (item.isFew(shape))
    return attendFew(shape, item.s, item.from, item.to, {a.q.f32, a.k.f32, a.v.f32}, a.rule, LOWEST, scratch,
                     FewPartials::at(partial, shape, item.s));
  const ColumnTile c = columnsOf(shape, item.s, item.kvHead, item.tile, COLUMNS, a.rule.slopes);
  float* const whole = scratch + shape.laneRows() * COLUMNS + KEY_TILE * COLUMNS + COLUMNS;
  const Softmax state = softmaxAt(item.isPartial() ? partial : whole);
  const KeyRange keys{item.s, item.kvHead, item.from, item.to};
  if constexpr (BF16_PAIRS) {
    if (a.packedK.rows)
      attend<std::int32_t>(shape, keys, c, a, scratch, state);
    else
      attend<float>(shape, keys, c, a, scratch, state);
  } else {
    attend<float>(shape, keys, c, a, scratch, state);
  }
  if (!item.isPartial()) writeOutput(shape, c, a, state);
}

// Joins a thread's share of the partial results: kv heads in turn.
void joinItem(const AttentionShape& shape, const Item& item, const ForwardArrays& a, float* partials,
              int parts, int part) {
  if (!item.isPartial() || item.chunk > 0) return;
  float* place = partials + item.partial;
  if (!item.isFew(shape)) {
    if (static_cast<int>(item.kvHead % static_cast<Size>(parts)) != part) return;
    const ColumnTile c = columnsOf(shape, item.s, item.kvHead, item.tile, COLUMNS, a.rule.slopes);
    joinChunks(shape, c, place, item.chunks);
    return writeOutput(shape, c, a, softmaxAt(place));
  }
  for (Size kvHead = static_cast<Size>(part); kvHead < shape.kvHeads; kvHead += static_cast<Size>(parts)) {
    const ColumnTile c = columnsOf(shape, item.s, kvHead, 0, FEW_COLUMNS, nullptr);
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

// The scratch of a call: a piece for each thread, partial results, packed keys and values, widened arrays.
struct Workspace {
  Size partFloats;  // of a thread's piece
  Size partialsAt;  // where the partial results begin, in floats
  Size packedAt;    // where packed keys and values begin
  Size widenedAt;   // where widened arrays begin
  Size floats;      // in all
  bool packs;       // keys and values are packed in pairs
  bool widens;      // arrays in bf16 are widened
  bool hasPartials;
};

Workspace workspaceOf(const AttentionShape& shape, int threads, bool bf16, bool half) {
  Workspace w{};
  w.packs = packs(shape, bf16);
  w.widens = half && readsFloats(shape, bf16);
  w.partFloats = partFloats(shape);
  w.partialsAt = static_cast<Size>(threads) * w.partFloats;
  w.packedAt = w.partialsAt + allPartials(shape);
  w.hasPartials = w.packedAt > w.partialsAt;
  w.widenedAt = w.packedAt + (w.packs ? packedRowsWords(shape) + packedPairsWords(shape) : 0);
  w.floats = w.widenedAt + (w.widens ? widenedFloats(shape) : 0);
  return w;
}

Size causalAttentionScratch(Threads& threads, In<std::int32_t> querySegments, In<std::int32_t> keySegments,
                            Size queries, Size keys, Size heads, Size kvHeads, Size headDim, bool bf16,
                            bool half) {
  const AttentionShape shape = shapeOf(querySegments, keySegments, queries, keys, heads, kvHeads, headDim, 0);
  return shape.problem() ? 0 : workspaceOf(shape, threads.count(), bf16, half).floats;
}

// The arrays in bf16 that are widened, and their floats.
struct Widened {
  const BFloat16 *qHalf, *kHalf, *vHalf;
  BFloat16* yHalf;
  float *q, *y, *k, *v;
  Size ofQueries, ofKeys;  // numbers

  void widen(int parts, int part) const {
    convertShare(qHalf, q, ofQueries, parts, part);
    convertShare(yHalf, y, ofQueries, parts, part);  // rows that belong to no segment keep their numbers
    convertShare(kHalf, k, ofKeys, parts, part);
    convertShare(vHalf, v, ofKeys, parts, part);
  }
  void roundResult(int parts, int part) const { convertShare(y, yHalf, ofQueries, parts, part); }
};

// One thread's part of a call. Every phase ends before the next one reads its results.
void attendPart(Threads& threads, const AttentionShape& shape, const ForwardArrays& arrays,
                const Workspace& workspace, const Widened& widened, float* scratch, int parts, int part) {
  [[maybe_unused]] const TileRegisters registers;
  if (workspace.widens) {
    widened.widen(parts, part);
    threads.barrier();
  }
  if (workspace.packs) {
    packKeysAndValues(shape, arrays, parts, part);
    threads.barrier();
  }
  float* const threadScratch = scratch + static_cast<Size>(part) * workspace.partFloats;
  float* const partials = scratch + workspace.partialsAt;
  visitItems(shape, parts, part,
             [&](const Item& item) { runItem(shape, item, arrays, threadScratch, partials); });
  if (workspace.hasPartials) {
    threads.barrier();
    visitItems(shape, 1, 0, [&](const Item& item) { joinItem(shape, item, arrays, partials, parts, part); });
  }
  if (!workspace.widens) return;
  threads.barrier();
  widened.roundResult(parts, part);
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
    return unsupported("q, k, v and y must have the same element type");
  const Workspace workspace = workspaceOf(shape, threads.count(), bf16, half);
  QD_NEED(scratch, workspace.floats);

  ForwardArrays arrays{};
  arrays.q = {q.f32, q.bf16};
  arrays.k = {k.f32, k.bf16};
  arrays.v = {v.f32, v.bf16};
  arrays.y = {y.f32, y.bf16};
  arrays.logSumExp = logSumExp.data;
  arrays.rule = {scale, softCap, alibiSlopes.data};
  if (workspace.packs) {
    arrays.packedK.rows = reinterpret_cast<std::int32_t*>(scratch.data + workspace.packedAt);
    arrays.packedV.keyPairs = arrays.packedK.rows + packedRowsWords(shape);
  }
  Widened widened{};
  if (workspace.widens) {
    const Size ofQueries = queries * heads * headDim;
    const Size ofKeys = keys * kvHeads * headDim;
    float* const floats = scratch.data + workspace.widenedAt;
    widened = {q.bf16,
               k.bf16,
               v.bf16,
               y.bf16,
               floats,
               floats + ofQueries,
               floats + 2 * ofQueries,
               floats + 2 * ofQueries + ofKeys,
               ofQueries,
               ofKeys};
    arrays.q = {widened.q, nullptr};
    arrays.k = {widened.k, nullptr};
    arrays.v = {widened.v, nullptr};
    arrays.y = {widened.y, nullptr};
  }
  const double keysInUse = keySegments.data[shape.segments - 1] - keySegments.data[0];
  const double operations = 4.0 * static_cast<double>(queries * heads * headDim) * keysInUse;
  const bool isDecoding = queries <= FEW_QUERIES;
  const int parts = threads.partsFor(operations, isDecoding ? FEW_GRAIN : ATTENTION_GRAIN);
  threads.run(parts, [&](int part) {
    attendPart(threads, shape, arrays, workspace, widened, scratch.data, parts, part);
  });
  return ok();
}

}  // namespace
QD_EXPORT(causalAttentionScratch)
QD_EXPORT(causalAttention)
}  // namespace qdylora::QD_LEVEL
