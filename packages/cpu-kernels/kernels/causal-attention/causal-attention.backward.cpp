// Gradient of causal attention: p = exp(score − logSumExp), e = p·(dy·v − dy·y)·(slope of the cap); dv =
//   pᵀ·dy, dk = scale·eᵀ·q, dq = scale·e·k, recomputing the scores.
// A part owns (segment, kv head, chunk of columns): chunks cost alike and their number depends on sizes
//   alone. Each chunk has a dk and dv of its own for the keys it
// sees (unless it is the only one), which are added up in order; dq has one writer anyway.
// 10·headDim operations per visible (query, key) pair; scratch: a tile per thread, packed keys in bf16, and
//   dk and dv times about half the number of chunks.
// Assumes y and logSumExp from the forward call; sizes and segments are checked below.
// Dropped: two passes, one for dk and dv and one for dq, where kv heads are few: 7 products for 5; in tiles,
//   sums added to dk, dv and dq by vectors while the next block is made (+15 %, Granite Rapids, 2026). Not
//   done: atomics on dk and dv (not repeatable).
#include "../../native/attention-words.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr int COLUMNS = 64;
// Chunks of one segment over all kv heads, and tiles in a chunk, at least: enough to share among many
// threads, few enough that adding them up costs little.
constexpr int CHUNKS = 32;
constexpr int TILES_PER_CHUNK = 8;

// Scores are made strip by strip, and in tiles the next strip while this one is weighed: their numbers stay
// in the first cache, and vectors work while tiles do.
constexpr int STRIP_KEYS = AMX_TILES ? 32 : KEY_TILE;
constexpr int STRIP_COLUMNS = AMX_TILES ? 32 : COLUMNS;
constexpr int STRIP_BUFFERS = AMX_TILES ? 2 : 1;
constexpr Size STRIP_FLOATS = STRIP_KEYS * STRIP_COLUMNS;

struct BackwardArrays {
  Numbers q, k, v, y;
  const float* logSumExp;
  Numbers dy;
  Results dq, dk, dv;
  ScoreRule rule;
  PackedKeys packedK, packedV;
};

// Scratch of one part, in words: columns along lanes [depthWords][COLUMNS], rows of columns
// [COLUMNS][paddedDim], strips of scores and of dy·v.
// p and e: rows of keys for dv and dk, [KEY_TILE][COLUMNS]; `eKeys`: for dq, pairs of keys along lanes of
// columns (floats: the same as e).
template <class Word>
struct Buffers {
  Word *q, *dy, *qRows, *dyRows;
  float *scores, *products;
  Word *p, *e, *eKeys;
  float *dq, *own, *exponent;
};

Size backwardPartFloats(const AttentionShape& shape) {
  return roundUp(3 * shape.laneRows() * COLUMNS + 2 * COLUMNS * shape.paddedDim() +
                     2 * STRIP_BUFFERS * STRIP_FLOATS + 3 * KEY_TILE * COLUMNS + 2 * COLUMNS,
                 16);
}

template <class Word>
Buffers<Word> buffersAt(float* at, const AttentionShape& shape) {
  const auto take = [&](Size floats) {
    float* here = at;
    at += floats;
    return here;
  };
  const auto words = [&](Size count) { return reinterpret_cast<Word*>(take(count)); };
  const Size lanes = shape.laneRows() * COLUMNS;
  const Size rows = COLUMNS * shape.paddedDim();
  const Size strips = STRIP_BUFFERS * STRIP_FLOATS;
  const Size tile = KEY_TILE * COLUMNS;
  Buffers<Word> b{words(lanes), words(lanes), words(rows), words(rows), take(strips),  take(strips),
                  words(tile),  words(tile),  words(tile), take(lanes), take(COLUMNS), take(COLUMNS)};
  if constexpr (!IS_PAIR<Word>) b.eKeys = b.e;
  return b;
}

// Numbers of p and e between two keys, in words.
template <class Word>
constexpr Size KEY_STEP = COLUMNS / PER_WORD<Word>;

// own = dy·y and the exponent that stands for logSumExp, of each column; 0 past the last, where q and dy are
// 0 too.
template <class Word>
void packColumnNumbers(const Buffers<Word>& b, const BackwardArrays& a, const AttentionShape& shape,
                       const Columns& c) {
  for (int i = 0; i < COLUMNS; i++) b.own[i] = b.exponent[i] = 0;
  for (int i = 0; i < c.count; i++) {
    const Size at = c.offset[i];
    F32x sum{};
    for (Size d = 0; d < shape.headDim; d += WIDTH)
      sum = fma(loadUpTo(a.dy + at, d, shape.headDim), loadUpTo(a.y + at, d, shape.headDim), sum);
    b.own[i] = sumOf(sum);
    b.exponent[i] = a.logSumExp[c.number[i]] * LOG2_E;
  }
}

// Some keys of a tile, from its `row` on, and some columns, with their scores and dy·v:
// [rows][STRIP_COLUMNS].
struct Strip {
  int row, rows, column, columns;
  const float *scores, *products;
};

struct Weight {
  F32x p, e;
};

// Score and dy·v of WIDTH columns and one key → p and e. A masked entry is 0 whatever its numbers were.
template <bool MASK, bool RULE, class Word>
QD_INLINE Weight weightAt(const Buffers<Word>& b, const Columns& c, const Strip& s, int key, int row,
                          int column, const ScoreRule& rule, float factor) {
  const int at = row * STRIP_COLUMNS + column;
  const int inTile = s.column + column;
  F32x score = load(s.scores + at), slope;
  if constexpr (RULE) score = rule.capped(score, &slope) + c.bias(key + row, inTile);
  F32x p = exponential2(fma(score, all(factor), -load(b.exponent + inTile))),
       e = p * (load(s.products + at) - load(b.own + inTile));
  if constexpr (RULE) e = e * slope;
  if constexpr (MASK) {
    const I32x sees = c.sees(key + row, inTile);
    p = select(sees, p, F32x{});
    e = select(sees, e, F32x{});
  }
  return {p, e};
}

// `key`: of the strip's first row.
template <bool MASK, bool RULE, class Word>
void weigh(const Buffers<Word>& b, const Columns& c, const Strip& s, int key, const ScoreRule& rule) {
  const float factor = rule.toExponent();
  const Size to = static_cast<Size>(s.row) * KEY_STEP<Word> + static_cast<Size>(s.column / PER_WORD<Word>);
  if constexpr (IS_PAIR<Word>) {
    for (int j = 0; j < s.columns; j += 2 * WIDTH) {
      for (int i = 0; i < s.rows; i += 2) {
        I32x e[2];
        for (int r = 0; r < 2; r++) {
          const Weight low = weightAt<MASK, RULE>(b, c, s, key, i + r, j, rule, factor),
                       high = weightAt<MASK, RULE>(b, c, s, key, i + r, j + WIDTH, rule, factor);
          const Size at = to + static_cast<Size>(i + r) * KEY_STEP<Word> + static_cast<Size>(j / 2);
          e[r] = pairsToBf16(low.e, high.e);
          storeI32(b.p + at, pairsToBf16(low.p, high.p));
          storeI32(b.e + at, e[r]);
        }
        // The pairs of columns of two keys → the pairs of keys of the even columns, and of the odd ones.
        Word* const pairs = b.eKeys + (s.row + i) / 2 * COLUMNS + s.column + j;
        storeI32(pairs, (e[0] & 0xffff) | (e[1] << 16));
        storeI32(pairs + WIDTH, (I32x)((U32x)e[0] >> 16) | (e[1] & -65536));
      }
    }
  } else {
    for (int i = 0; i < s.rows; i++) {
      for (int j = 0; j < s.columns; j += WIDTH) {
        const Weight weight = weightAt<MASK, RULE>(b, c, s, key, i, j, rule, factor);
        const Size at = to + static_cast<Size>(i) * KEY_STEP<Word> + static_cast<Size>(j);
        store(b.p + at, weight.p);
        store(b.e + at, weight.e);
      }
    }
  }
}

// What one item computes: the tiles [tile0, tile1) of columns, against the keys [from, to) that they see. dk,
// dv: [rows of to − from][paddedDim], at the place of the first key.
struct Item {
  Segment s;
  Size kvHead;
  int tile0, tile1, from, to, chunk, chunks;
  Size partial;
};
int itemRows(const Item& item) { return roundUp(item.to - item.from, KEY_UNIT); }
struct KeySums {
  float *dk, *dv;
};
KeySums keySumsAt(float* at, const AttentionShape& shape, const Item& item) {
  return {at, at + static_cast<Size>(itemRows(item)) * shape.paddedDim()};
}
Size keySumsFloats(const AttentionShape& shape, const Item& item) {
  return 2 * static_cast<Size>(itemRows(item)) * shape.paddedDim();
}

template <class Word>
QD_INLINE TileLeft<Word> from(const TileLeft<Word>& rows, int row) {
  return {rows.at + static_cast<Size>(row) * rows.rowStride, rows.rowStride, rows.depthStride};
}

template <class Word>
void addTile(const AttentionShape& shape, const Item& item, const Columns& c, const BackwardArrays& a,
             const Buffers<Word>& b, const KeySums& sums, AskedColumns& next) {
  const int dim = dimRows<Word>(shape);
  const int words = static_cast<int>(depthWords<Word>(shape));
  const int padded = static_cast<int>(shape.paddedDim());
  const int end = c.lastKey() + 1;
  const int width = IS_PAIR<Word> ? roundUp(c.width, 2 * WIDTH) : c.width;
  const int pairs = columnWords<Word>(c);
  const Size stride = shape.paddedDim();
  const auto ask = [&] { next.step(8, a.q, a.dy, a.y, a.dq); };
  bool add = false;
  for (int key = firstKeyTile(item.s, c.firstKey()); key < end; key += KEY_TILE, add = true) {
    const int rows = rowsOf<Word>(smaller(KEY_TILE, end - key));
    const KeySide<Word> k = keySide<Word>(a.k, a.packedK, shape, item.s, item.kvHead, key);
    const KeySide<Word> v = keySide<Word>(a.v, a.packedV, shape, item.s, item.kvHead, key);
    const int across = (c.width + STRIP_COLUMNS - 1) / STRIP_COLUMNS;
    const int count = across * ((rows + STRIP_KEYS - 1) / STRIP_KEYS);
    Strip strips[STRIP_BUFFERS];
    const auto score = [&](int i) {
      const int row = i / across * STRIP_KEYS;
      const int column = i % across * STRIP_COLUMNS;
      const int buffer = i % STRIP_BUFFERS;
      float *const scores = b.scores + buffer * STRIP_FLOATS, *const products =
                                                                  b.products + buffer * STRIP_FLOATS;
      const Strip s{row,    smaller(STRIP_KEYS, rows - row),
                    column, smaller(STRIP_COLUMNS, c.width - column),
                    scores, products};
      tileProduct<Sums::set, Word>({scores, STRIP_COLUMNS}, from(k.alongHead, row), {b.q + column, COLUMNS},
                                   s.rows, s.columns, words);
      tileProduct<Sums::set, Word>({products, STRIP_COLUMNS}, from(v.alongHead, row),
                                   {b.dy + column, COLUMNS}, s.rows, s.columns, words);
      strips[buffer] = s;
      ask();
    };
    score(0);
    for (int i = 0; i < count; i++) {
      if (STRIP_BUFFERS > 1 && i + 1 < count) score(i + 1);
      const Strip& s = strips[i % STRIP_BUFFERS];
      const int first = key + s.row;
      const bool mask = !c.seeAll(first, first + s.rows);
      if (a.rule.changesScores())
        mask ? weigh<true, true>(b, c, s, first, a.rule) : weigh<false, true>(b, c, s, first, a.rule);
      else
        mask ? weigh<true, false>(b, c, s, first, a.rule) : weigh<false, false>(b, c, s, first, a.rule);
    }
    const Size own = static_cast<Size>(key - item.from) * stride;
    tileProduct<Sums::add, Word>({sums.dv + own, stride}, {b.p, KEY_STEP<Word>, 1}, {b.dyRows, stride}, rows,
                                 padded, pairs);
    ask();
    tileProduct<Sums::add, Word>({sums.dk + own, stride}, {b.e, KEY_STEP<Word>, 1}, {b.qRows, stride}, rows,
                                 padded, pairs);
    ask();
    if (add)
      tileProduct<Sums::add, Word>({b.dq, COLUMNS}, k.alongKeys, {b.eKeys, COLUMNS}, dim, width,
                                   rows / PER_WORD<Word>);
    else
      tileProduct<Sums::set, Word>({b.dq, COLUMNS}, k.alongKeys, {b.eKeys, COLUMNS}, dim, width,
                                   rows / PER_WORD<Word>);
  }
  for (int d = 0; !add && d < dim; d++)
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
             float* sums) {
  const Buffers<Word> b = buffersAt<Word>(scratch, shape);
  const KeySums own = keySumsAt(sums, shape, item);
  alignas(64) float factor[COLUMNS];
  for (float& one : factor) one = a.rule.scale;
  int cleared = 0;
  Columns some[2];
  const auto columnsAt = [&](int tile) -> const Columns& {
    return some[tile % 2] = columnsOf(shape, item.s, item.kvHead, tile, COLUMNS, a.rule.slopes);
  };
  for (int tile = item.tile0; tile < item.tile1; tile++) {
    const Columns& c = tile == item.tile0 ? columnsAt(tile) : some[tile % 2];
    AskedColumns next(shape, tile + 1 < item.tile1 ? &columnsAt(tile + 1) : nullptr, a.q.half);
    const int seen = larger(cleared, roundUp(c.lastKey() + 1 - item.from, KEY_UNIT));
    // just before they are added to, while they are in the caches
    clearRows(own, shape.paddedDim(), cleared, seen);
    cleared = seen;
    packColumns(b.q, COLUMNS, a.q, shape, c);
    packColumns(b.dy, COLUMNS, a.dy, shape, c);
    packColumnRows(b.qRows, a.q, shape, c);
    packColumnRows(b.dyRows, a.dy, shape, c);
    packColumnNumbers(b, a, shape, c);
    addTile(shape, item, c, a, b, own, next);
    writeColumns(a.dq, b.dq, COLUMNS, shape, c, factor, IS_PAIR<Word>);
  }
}

// Visits this part's share of the items. Chunks of a segment cost alike.
template <class Visit>
void visitItems(const AttentionShape& shape, int parts, int part, const Visit& visit) {
  const auto costOf = [&](const Segment& s, int tile) { return 8 + keysSeen(shape, s, tile, COLUMNS); };
  const auto walk = [&](const auto& use) {
    Size partial = 0;
    for (Size seg = 0; seg + 1 < shape.segments; seg++) {
      const Segment s = shape.segment(seg);
      const int tiles = shape.tiles(s, COLUMNS);
      const int wanted = larger(1, CHUNKS / static_cast<int>(shape.kvHeads));
      const int chunks = larger(1, smaller(tiles / TILES_PER_CHUNK, wanted));
      double total = 0;
      for (int tile = 0; tile < tiles; tile++) total += costOf(s, tile);
      for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
        double before = 0;
        for (int chunk = 0, tile = 0; chunk < chunks; chunk++) {
          const int tile0 = tile;
          while (tile < tiles &&
                 (chunk + 1 == chunks || before + costOf(s, tile) / 2 < total * (chunk + 1) / chunks))
            before += costOf(s, tile++);
          Item item{s, kvHead, tile0, tile, s.k0, s.k0, chunk, chunks, partial};
          if (tile > tile0) {
            const Columns first = columnsOf(shape, s, kvHead, tile0, COLUMNS, nullptr);
            const Columns last = columnsOf(shape, s, kvHead, tile - 1, COLUMNS, nullptr);
            item.from = firstKeyTile(s, first.firstKey());
            item.to = larger(item.from, last.lastKey() + 1);
          }
          partial += keySumsFloats(shape, item);
          use(item);
        }
      }
    }
  };
  const auto cost = [&](const Item& item) {
    double sum = 1;
    for (int tile = item.tile0; tile < item.tile1; tile++) sum += costOf(item.s, tile);
    return sum;
  };
  visitShare<Item>(parts, part, walk, cost, visit);
}

// dk and dv of this part's share of the keys of one (segment, kv head): the sum over its chunks, in order; 0
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
      F32x dk{}, dv{};
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

// dq, dk, dv rows that belong to no segment.
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

Size allPartials(const AttentionShape& shape) {
  Size floats = 0;
  visitItems(shape, 1, 0, [&](const Item& item) { floats = item.partial + keySumsFloats(shape, item); });
  return floats;
}

void packKeysAndValues(const AttentionShape& shape, const BackwardArrays& a, int parts, int part) {
  for (Size seg = 0; seg + 1 < shape.segments; seg++) {
    const Segment s = shape.segment(seg);
    packKeysAndValues(a.packedK, a.k, a.packedV, a.v, shape, s, parts, part);
  }
}

// Floats of q, k, v, y, dy and dq where they are bf16 and a level has no pairs, and works on floats.
Size widenedFloats(const AttentionShape& shape) {
  return 4 * shape.queries * shape.queryStride() + 2 * shape.keys * shape.keyStride();
}

// Floats of scratch that causalAttentionBackward needs.
Size causalAttentionBackwardScratch(Threads& threads, In<std::int32_t> querySegments,
                                    In<std::int32_t> keySegments, Size queries, Size keys, Size heads,
                                    Size kvHeads, Size headDim, bool bf16, bool half, Size window) {
  const AttentionShape shape{querySegments.data,
                             keySegments.data,
                             smaller(querySegments.size, keySegments.size),
                             queries,
                             keys,
                             heads,
                             kvHeads,
                             headDim,
                             window};
  if (shape.problem()) return 0;
  return static_cast<Size>(threads.count()) * backwardPartFloats(shape) + allPartials(shape) +
         (BF16_PAIRS && bf16 ? 2 * packedRowsWords(shape) + packedPairsWords(shape) : 0) +
         (half && !(BF16_PAIRS && bf16) ? widenedFloats(shape) : 0);
}

Status causalAttentionBackward(Threads& threads, Dense q, Dense k, Dense v, In<std::int32_t> querySegments,
                               In<std::int32_t> keySegments, OptionalIn<float> alibiSlopes, Dense y,
                               In<float> logSumExp, Dense dy, OutDense dq, OutDense dk, OutDense dv,
                               Out<float> scratch, Size queries, Size keys, Size heads, Size kvHeads,
                               Size headDim, bool bf16, Size window, float scale, float softCap) {
  const Size ofQueries = times(queries, heads, headDim);
  const Size ofKeys = times(keys, kvHeads, headDim);
  const Dense likeQ[] = {q, y, dy}, likeK[] = {k, v};
  const bool half = q.bf16 != nullptr;
  bool alike = !dq.bf16 != half && !dk.bf16 != half && !dv.bf16 != half;
  for (const Dense& array : likeQ) {
    QD_NEED(array, ofQueries);
    alike = alike && !array.bf16 != half;
  }
  for (const Dense& array : likeK) {
    QD_NEED(array, ofKeys);
    alike = alike && !array.bf16 != half;
  }
  if (!alike) return unsupported("expected arrays of one type");
  QD_NEED(logSumExp, times(queries, heads));
  QD_NEED_IF_GIVEN(alibiSlopes, heads);
  QD_NEED(dq, ofQueries);
  QD_NEED(dk, ofKeys);
  QD_NEED(dv, ofKeys);
  const AttentionShape shape{querySegments.data,
                             keySegments.data,
                             smaller(querySegments.size, keySegments.size),
                             queries,
                             keys,
                             heads,
                             kvHeads,
                             headDim,
                             window};
  if (const char* problem = shape.problem()) return unsupported(problem);
  QD_NEED(scratch, causalAttentionBackwardScratch(threads, querySegments, keySegments, queries, keys, heads,
                                                  kvHeads, headDim, bf16, half, window));
  float *partials = scratch.data + static_cast<Size>(threads.count()) * backwardPartFloats(shape),
        *packed = partials + allPartials(shape);
  BackwardArrays arrays{{q.f32, q.bf16},
                        {k.f32, k.bf16},
                        {v.f32, v.bf16},
                        {y.f32, y.bf16},
                        logSumExp.data,
                        {dy.f32, dy.bf16},
                        {dq.f32, dq.bf16},
                        {dk.f32, dk.bf16},
                        {dv.f32, dv.bf16},
                        {scale, softCap, alibiSlopes.data},
                        {},
                        {}};
  const bool pairs = BF16_PAIRS && bf16;
  const bool widens = half && !pairs;
  float* const floats = packed + (pairs ? 2 * packedRowsWords(shape) + packedPairsWords(shape) : 0);
  auto take = [at = floats](Size count) mutable {
    float* here = at;
    at += count;
    return here;
  };
  if (pairs) {
    arrays.packedK = {reinterpret_cast<std::int32_t*>(packed),
                      reinterpret_cast<std::int32_t*>(packed) + packedRowsWords(shape)};
    arrays.packedV.rows = arrays.packedK.keyPairs + packedPairsWords(shape);
  }
  float* wide[6] = {};  // q, y, dy, k, v, dq
  if (widens) {
    for (int i = 0; i < 6; i++) wide[i] = take(i == 3 || i == 4 ? ofKeys : ofQueries);
    arrays.q = {wide[0], nullptr};
    arrays.y = {wide[1], nullptr};
    arrays.dy = {wide[2], nullptr};
    arrays.k = {wide[3], nullptr};
    arrays.v = {wide[4], nullptr};
    arrays.dq = {wide[5], nullptr};
  }
  clearOutside(shape, arrays);
  const int parts =
      threads.partsFor(10.0 * static_cast<double>(ofQueries) * static_cast<double>(keys), ATTENTION_GRAIN);
  threads.run(parts, [&](int part) {
    [[maybe_unused]] const TileRegisters registers;
    float* own = scratch.data + static_cast<Size>(part) * backwardPartFloats(shape);
    for (int i = 0; widens && i < 3; i++) convertShare(likeQ[i].bf16, wide[i], ofQueries, parts, part);
    for (int i = 0; widens && i < 2; i++) convertShare(likeK[i].bf16, wide[3 + i], ofKeys, parts, part);
    if (pairs) packKeysAndValues(shape, arrays, parts, part);
    if (pairs || widens) threads.barrier();
    visitItems(shape, parts, part, [&](const Item& item) {
      if constexpr (BF16_PAIRS) {
        if (pairs) return runItem<std::int32_t>(shape, item, arrays, own, partials + item.partial);
      }
      runItem<float>(shape, item, arrays, own, partials + item.partial);
    });
    threads.barrier();
    joinAll(shape, arrays, partials, parts, part);
    if (widens) convertShare(wide[5], dq.bf16, ofQueries, parts, part);
  });
  return ok();
}

}  // namespace
QD_EXPORT(causalAttentionBackwardScratch)
QD_EXPORT(causalAttentionBackward)
}  // namespace qdylora::QD_LEVEL
