// Computes: the gradient of causal attention, with the scores computed again: p = exp(score − logSumExp), e =
//   p·(dy·v − dy·y)·(slope of the cap); dv = pᵀ·dy, dk = scale·eᵀ·q, dq = scale·e·k.
// Owners: a thread owns items: (segment, kv head, chunk of columns). Chunks cost alike, and their number
//   depends on sizes alone. Each chunk has its own sums of dk and dv for the keys that it sees; they are
//   added up in order. Each row of dq has one writer.
// Cost: 10·headDim operations per visible (query, key) pair. Scratch: a tile for each thread, packed keys in
//   bf16, and dk and dv times about half the number of chunks.
// Assumes: y and logSumExp of the forward call. Lengths, types, segments and sizes are checked in
//   causalAttentionBackward.
// Dropped: two passes, one for dk and dv and one for dq, where kv heads are few (7 products instead of 5); in
//   tiles, sums added to dk, dv and dq by vectors while the next block is computed (+15 % time, Granite
//   Rapids, 2026). Not done: atomics on dk and dv (not repeatable).
#include "causal-attention.backward-tile.h"

namespace qdylora::QD_LEVEL {
namespace {

// Adds a tile of columns against all keys that it sees: to dk and dv in `sums`, and its dq in the buffers.
// Meanwhile the columns `next` are prefetched.
template <class Word>
void addTile(const AttentionShape& shape, const Item& item, const ColumnTile& c, const BackwardArrays& a,
             const Buffers<Word>& b, const KeySums& sums, ColumnPrefetcher& next) {
  const int end = c.lastKey() + 1;
  const auto prefetchNext = [&] { next.step(8, a.q, a.dy, a.y, a.dq); };
  bool add = false;
  for (int key = firstKeyTile(item.s, c.firstKey()); key < end; key += KEY_TILE, add = true) {
    const TilePair<Word> pair{shape,
                              c,
                              a,
                              b,
                              keySide<Word>(a.k, a.packedK, shape, item.s, item.kvHead, key),
                              keySide<Word>(a.v, a.packedV, shape, item.s, item.kvHead, key),
                              key,
                              rowsOf<Word>(smaller(KEY_TILE, end - key))};
    pair.weighAll(prefetchNext);
    const Size row = static_cast<Size>(key - item.from) * shape.paddedDim();
    pair.addKeys(sums.dv + row, b.p, b.dyRows);
    prefetchNext();
    pair.addKeys(sums.dk + row, b.e, b.qRows);
    prefetchNext();
    pair.addQueries(add);
  }
  if (add) return;
  const int width = IS_PAIR<Word> ? roundUp(c.width, 2 * WIDTH) : c.width;
  for (int d = 0; d < dimRows<Word>(shape); d++)
    for (int j = 0; j < width; j += WIDTH) store(b.dq + d * COLUMNS + j, F32x{});
}

// Zeros for the rows [begin, end) of a chunk's sums.
void clearRows(const KeySums& sums, Size padded, int begin, int end) {
  for (Size i = static_cast<Size>(begin) * padded; i < static_cast<Size>(end) * padded; i += WIDTH) {
    store(sums.dk + i, F32x{});
    store(sums.dv + i, F32x{});
  }
}

template <class Word>
void runItem(const AttentionShape& shape, const Item& item, const BackwardArrays& a, float* scratch,
             float* partial) {
  const Buffers<Word> b = buffersAt<Word>(scratch, shape);
  const KeySums sums = keySumsAt(partial, shape, item);
  alignas(64) float factor[COLUMNS];
  for (float& one : factor) one = a.rule.scale;
  int cleared = 0;
  ColumnTile columns[2];  // of this tile and of the next one
  const auto columnsAt = [&](int tile) -> const ColumnTile& {
    return columns[tile % 2] = columnsOf(shape, item.s, item.kvHead, tile, COLUMNS, a.rule.slopes);
  };
  for (int tile = item.tile0; tile < item.tile1; tile++) {
    const ColumnTile& c = tile == item.tile0 ? columnsAt(tile) : columns[tile % 2];
    ColumnPrefetcher next(shape, tile + 1 < item.tile1 ? &columnsAt(tile + 1) : nullptr, a.q.half);
    const int endRow = larger(cleared, roundUp(c.lastKey() + 1 - item.from, KEY_UNIT));
    // just before they are added to, while they are in the caches
    clearRows(sums, shape.paddedDim(), cleared, endRow);
    cleared = endRow;
    packColumns(b.q, COLUMNS, a.q, shape, c);
    packColumns(b.dy, COLUMNS, a.dy, shape, c);
    packColumnRows(b.qRows, a.q, shape, c);
    packColumnRows(b.dyRows, a.dy, shape, c);
    packColumnNumbers(b, a, shape, c);
    addTile(shape, item, c, a, b, sums, next);
    writeColumns(a.dq, b.dq, COLUMNS, shape, c, factor, IS_PAIR<Word>);
  }
}

// dk and dv of a thread's share of the keys of one (segment, kv head): the sums of its chunks, in order; 0
// for keys that no query sees.
void joinChunks(const AttentionShape& shape, const BackwardArrays& a, const Item* chunks,
                const float* partials, int parts, int part) {
  const Segment& s = chunks->s;
  const Range share = shareOf(static_cast<Size>(s.keys()), parts, part, 8);
  const Size padded = shape.paddedDim();
  for (Size i = share.begin; i < share.end; i++) {
    const int key = s.k0 + static_cast<int>(i);
    const Size at = static_cast<Size>(key) * shape.keyStride() + chunks->kvHead * shape.headDim;
    for (Size d = 0; d < shape.headDim; d += WIDTH) {
      F32x dk{};
      F32x dv{};
      for (int c = 0; c < chunks->chunks; c++) {
        if (key < chunks[c].from || key >= chunks[c].to) continue;
        const float* sums =
            partials + chunks[c].partial + static_cast<Size>(key - chunks[c].from) * padded + d;
        dk = dk + load(sums);
        dv = dv + load(sums + static_cast<Size>(itemRows(chunks[c])) * padded);
      }
      const int n = static_cast<int>(smaller<Size>(WIDTH, shape.headDim - d));
      storeFirst(a.dk, at + d, dk * a.rule.scale, n);
      storeFirst(a.dv, at + d, dv, n);
    }
  }
}

void joinAll(const AttentionShape& shape, const BackwardArrays& a, const float* partials, int parts,
             int part) {
  Item chunks[CHUNKS];
  visitItems(shape, 1, 0, [&](const Item& item) {
    chunks[item.chunk] = item;
    if (item.chunk + 1 == item.chunks) joinChunks(shape, a, chunks, partials, parts, part);
  });
}

void clear(const Results& x, Size begin, Size end) {
  for (Size i = begin; i < end; i++) {
    if (x.f32)
      x.f32[i] = 0;
    else
      x.half[i] = 0;
  }
}

// Rows of dq, dk and dv that belong to no segment: 0.
void clearOutside(const AttentionShape& shape, const BackwardArrays& a) {
  const Size last = shape.segments - 1;
  const Size q = shape.queryStride();
  const Size k = shape.keyStride();
  clear(a.dq, 0, static_cast<Size>(shape.querySegments[0]) * q);
  clear(a.dq, static_cast<Size>(shape.querySegments[last]) * q, shape.queries * q);
  const Results ofKeys[] = {a.dk, a.dv};
  for (const Results& x : ofKeys) {
    clear(x, 0, static_cast<Size>(shape.keySegments[0]) * k);
    clear(x, static_cast<Size>(shape.keySegments[last]) * k, shape.keys * k);
  }
}

void packKeysAndValues(const AttentionShape& shape, const BackwardArrays& a, int parts, int part) {
  for (Size seg = 0; seg + 1 < shape.segments; seg++) {
    const Segment s = shape.segment(seg);
    packKeysAndValues(a.packedK, a.k, a.packedV, a.v, shape, s, parts, part);
  }
}

// The scratch of a call: a piece for each thread, the sums of all items, packed keys and values, widened
// arrays.
struct Workspace {
  Size partFloats;  // of a thread's piece
  Size partialsAt;  // where the sums of the items begin, in floats
  Size packedAt;    // where packed keys and values begin
  Size widenedAt;   // where widened arrays begin
  Size floats;      // in all
  bool pairs;       // products are of pairs
  bool widens;      // arrays in bf16 are widened, on a level without pairs
};

Workspace workspaceOf(const AttentionShape& shape, int threads, bool bf16, bool half) {
  Workspace w{};
  w.pairs = BF16_PAIRS && bf16;
  w.widens = half && !w.pairs;
  w.partFloats = backwardPartFloats(shape);
  w.partialsAt = static_cast<Size>(threads) * w.partFloats;
  w.packedAt = w.partialsAt + allPartials(shape);
  w.widenedAt = w.packedAt + (w.pairs ? 2 * packedRowsWords(shape) + packedPairsWords(shape) : 0);
  const Size ofQueries = shape.queries * shape.queryStride();
  const Size ofKeys = shape.keys * shape.keyStride();
  w.floats = w.widenedAt + (w.widens ? 4 * ofQueries + 2 * ofKeys : 0);
  return w;
}

Size causalAttentionBackwardScratch(Threads& threads, In<std::int32_t> querySegments,
                                    In<std::int32_t> keySegments, Size queries, Size keys, Size heads,
                                    Size kvHeads, Size headDim, bool bf16, bool half, Size window) {
  const AttentionShape shape =
      shapeOf(querySegments, keySegments, queries, keys, heads, kvHeads, headDim, window);
  return shape.problem() ? 0 : workspaceOf(shape, threads.count(), bf16, half).floats;
}

// An array in bf16 and its floats.
struct Widened {
  const BFloat16* half;
  float* f32;
  Size count;
};
// Arrays that are widened before the products, and the one that is rounded after them.
struct WidenedArrays {
  Widened inputs[5];  // q, y, dy, k, v
  float* dq;
  BFloat16* dqHalf;
};

// Places the widened arrays at `floats`, and lets `arrays` name them.
WidenedArrays widen(BackwardArrays& arrays, const AttentionShape& shape, float* floats) {
  const Size ofQueries = shape.queries * shape.queryStride();
  const Size ofKeys = shape.keys * shape.keyStride();
  WidenedArrays widened{};
  Numbers* const inputs[5] = {&arrays.q, &arrays.y, &arrays.dy, &arrays.k, &arrays.v};
  for (int i = 0; i < 5; i++) {
    const Size count = i < 3 ? ofQueries : ofKeys;
    widened.inputs[i] = {inputs[i]->half, floats, count};
    *inputs[i] = {floats, nullptr};
    floats += count;
  }
  widened.dq = floats;
  widened.dqHalf = arrays.dq.half;
  arrays.dq = {floats, nullptr};
  return widened;
}

// One thread's part of a call. Every phase ends before the next one reads its results.
void backwardPart(Threads& threads, const AttentionShape& shape, const BackwardArrays& arrays,
                  const Workspace& workspace, const WidenedArrays& widened, float* scratch, int parts,
                  int part) {
  [[maybe_unused]] const TileRegisters registers;
  if (workspace.widens)
    for (const Widened& input : widened.inputs) convertShare(input.half, input.f32, input.count, parts, part);
  if (workspace.pairs) packKeysAndValues(shape, arrays, parts, part);
  if (workspace.pairs || workspace.widens) threads.barrier();
  float* const threadScratch = scratch + static_cast<Size>(part) * workspace.partFloats;
  float* const partials = scratch + workspace.partialsAt;
  visitItems(shape, parts, part, [&](const Item& item) {
    if constexpr (BF16_PAIRS) {
      if (workspace.pairs)
        return runItem<std::int32_t>(shape, item, arrays, threadScratch, partials + item.partial);
    }
    runItem<float>(shape, item, arrays, threadScratch, partials + item.partial);
  });
  threads.barrier();
  joinAll(shape, arrays, partials, parts, part);
  if (workspace.widens)
    convertShare(widened.dq, widened.dqHalf, shape.queries * shape.queryStride(), parts, part);
}

// Lengths and types of the arrays; the sizes themselves are checked by AttentionShape::problem.
Status checkArrays(const Dense (&ofQueries)[3], const Dense (&ofKeys)[2], const OutDense& dq,
                   const OutDense& dk, const OutDense& dv, Size queryNumbers, Size keyNumbers) {
  const bool half = ofQueries[0].bf16 != nullptr;
  bool alike = !dq.bf16 != half && !dk.bf16 != half && !dv.bf16 != half;
  for (const Dense& array : ofQueries) {
    QD_NEED(array, queryNumbers);
    alike = alike && !array.bf16 != half;
  }
  for (const Dense& array : ofKeys) {
    QD_NEED(array, keyNumbers);
    alike = alike && !array.bf16 != half;
  }
  if (!alike) return unsupported("all arrays must have the same element type");
  QD_NEED(dq, queryNumbers);
  QD_NEED(dk, keyNumbers);
  QD_NEED(dv, keyNumbers);
  return ok();
}

Status causalAttentionBackward(Threads& threads, Dense q, Dense k, Dense v, In<std::int32_t> querySegments,
                               In<std::int32_t> keySegments, OptionalIn<float> alibiSlopes, Dense y,
                               In<float> logSumExp, Dense dy, OutDense dq, OutDense dk, OutDense dv,
                               Out<float> scratch, Size queries, Size keys, Size heads, Size kvHeads,
                               Size headDim, bool bf16, Size window, float scale, float softCap) {
  const Size ofQueries = times(queries, heads, headDim);
  const Size ofKeys = times(keys, kvHeads, headDim);
  const Status checked = checkArrays({q, y, dy}, {k, v}, dq, dk, dv, ofQueries, ofKeys);
  if (checked.code != Status::OK) return checked;
  QD_NEED(logSumExp, times(queries, heads));
  QD_NEED_IF_GIVEN(alibiSlopes, heads);
  const AttentionShape shape =
      shapeOf(querySegments, keySegments, queries, keys, heads, kvHeads, headDim, window);
  if (const char* problem = shape.problem()) return unsupported(problem);
  const Workspace workspace = workspaceOf(shape, threads.count(), bf16, q.bf16 != nullptr);
  QD_NEED(scratch, workspace.floats);

  BackwardArrays arrays{};
  arrays.q = {q.f32, q.bf16};
  arrays.k = {k.f32, k.bf16};
  arrays.v = {v.f32, v.bf16};
  arrays.y = {y.f32, y.bf16};
  arrays.logSumExp = logSumExp.data;
  arrays.dy = {dy.f32, dy.bf16};
  arrays.dq = {dq.f32, dq.bf16};
  arrays.dk = {dk.f32, dk.bf16};
  arrays.dv = {dv.f32, dv.bf16};
  arrays.rule = {scale, softCap, alibiSlopes.data};
  if (workspace.pairs) {
    arrays.packedK.rows = reinterpret_cast<std::int32_t*>(scratch.data + workspace.packedAt);
    arrays.packedK.keyPairs = arrays.packedK.rows + packedRowsWords(shape);
    arrays.packedV.rows = arrays.packedK.keyPairs + packedPairsWords(shape);
  }
  WidenedArrays widened{};
  if (workspace.widens) widened = widen(arrays, shape, scratch.data + workspace.widenedAt);
  clearOutside(shape, arrays);
  const double operations = 10.0 * static_cast<double>(ofQueries) * static_cast<double>(keys);
  const int parts = threads.partsFor(operations, ATTENTION_GRAIN);
  threads.run(parts, [&](int part) {
    backwardPart(threads, shape, arrays, workspace, widened, scratch.data, parts, part);
  });
  return ok();
}

}  // namespace
QD_EXPORT(causalAttentionBackwardScratch)
QD_EXPORT(causalAttentionBackward)
}  // namespace qdylora::QD_LEVEL
