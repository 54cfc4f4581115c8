#pragma once
#include "../../native/attention/packed-keys.h"

// The running softmax of a tile of columns: one walk over tiles of keys, in which sums so far are rescaled
// only when a score exceeds them by much (Milakov & Gimelshein 2018; Dao et al. 2022).
namespace qdylora::QD_LEVEL {
namespace {

constexpr int COLUMNS = 32;
// Below any exponent, and finite: LOWEST − LOWEST is 0, not NaN.
constexpr float LOWEST = -3.4028235e38f;
// Exponents of 2 by which a score may exceed the subtracted one before the sums so far are rescaled.
constexpr float SLACK = 8;

struct ForwardArrays {
  Numbers q, k, v;  // as floats where some segment reads floats
  Results y;
  float* logSumExp;  // [heads][queries]
  ScoreRule rule;
  PackedKeys packedK, packedV;  // unset where products are of floats
};

// Keys [from, to) of one kv head of a segment.
struct KeyRange {
  const Segment& s;
  Size kvHead;
  int from, to;
};

// Running softmax of one tile of columns, p = 2^(exponent − largest).
struct Softmax {
  float* largest;  // [COLUMNS]: the exponent that is subtracted
  float* sum;      // [COLUMNS]: Σ p
  float* o;        // [headDim][COLUMNS]: Σ p·v, transposed, not yet divided by the sum
};
Softmax softmaxAt(float* at) { return {at, at + COLUMNS, at + 2 * COLUMNS}; }
Size softmaxFloats(const AttentionShape& shape) { return (shape.laneRows() + 2) * COLUMNS; }

// Applies a rule that does more than scale, and masks keys that columns do not see.
void ruleAndMask(float* scores, const ColumnTile& c, int key, int rows, const ScoreRule& rule, bool mask) {
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < c.width; j += WIDTH) {
      float* at = scores + i * COLUMNS + j;
      F32x derivative;
      F32x score = load(at);
      if (rule.changesScores()) score = rule.capped(score, &derivative) + c.bias(key + i, j);
      store(at, mask ? select(c.sees(key + i, j), score, all(-__builtin_inff())) : score);
    }
  }
}

// Turns the scores of columns with far exponents into exponents: factor · score, rounded.
QD_INLINE void roundFar(float* scores, int rows, I32x isFar, float factor) {
  for (int i = 0; i < rows; i++) {
    const F32x score = load(scores + i * COLUMNS);
    store(scores + i * COLUMNS, select(isFar, score * factor, score));
  }
}

// scores → p = 2^(factor · score − largest) for one tile of keys, as words. `rescale`: the factor on the sums
// so far, for each column. False where all factors are 1.
template <class Word>
bool updateSoftmax(const Softmax& state, float* scores, float* rescale, const ColumnTile& c, int rows,
                   float factor) {
  bool rescaled = false;
  for (int j = 0; j < c.width; j += WIDTH) {
    float* at = scores + j;
    const F32x before = load(state.largest + j);
    F32x even = load(at);
    F32x odd = even;
    int row = 0;
    for (; row + 2 <= rows; row += 2) {
      even = larger(load(at + row * COLUMNS), even);
      odd = larger(load(at + (row + 1) * COLUMNS), odd);
    }
    if (row < rows) even = larger(load(at + row * COLUMNS), even);
    const F32x highest = larger(even, odd) * factor;
    const F32x now = select(highest > before + SLACK, highest, before);
    const I32x isFar = isFarExponent(now, LOWEST);
    F32x toExponent = all(factor);
    if (largestOf(select(isFar, all(1.f), F32x{})) != 0.f) {
      roundFar(at, rows, isFar, factor);
      toExponent = select(isFar, all(1.f), toExponent);
    }
    const F32x change = exponential2(before - now);
    F32x sum = load(state.sum + j) * change;
    for (int i = 0; i < rows; i += PER_WORD<Word>) {
      const F32x p = exponential2(fma(load(at + i * COLUMNS), toExponent, -now));
      sum = sum + p;
      if constexpr (IS_PAIR<Word>) {
        const F32x next = exponential2(fma(load(at + (i + 1) * COLUMNS), toExponent, -now));
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

// Softmax of one tile of columns over a range of keys, one tile of keys after the other.
template <class Word>
void attend(const AttentionShape& shape, const KeyRange& range, const ColumnTile& c, const ForwardArrays& a,
            float* scratch, const Softmax& state) {
  Word* q = reinterpret_cast<Word*>(scratch);
  float* scores = scratch + shape.laneRows() * COLUMNS;
  float* rescale = scores + KEY_TILE * COLUMNS;
  packColumns(q, COLUMNS, a.q, shape, c);
  for (int j = 0; j < c.width; j += WIDTH) {
    store(state.largest + j, all(LOWEST));
    store(state.sum + j, F32x{});
  }
  const int dim = dimRows<Word>(shape);
  const int words = static_cast<int>(depthWords<Word>(shape));
  const int end = smaller(range.to, c.lastKey() + 1);
  bool empty = true;
  for (int key = larger(range.from, firstKeyTile(range.s, c.firstKey())); key < end;
       key += KEY_TILE, empty = false) {
    const int rows = rowsOf<Word>(smaller(KEY_TILE, end - key));
    const TileLeft<Word> k = keySide<Word>(a.k, a.packedK, shape, range.s, range.kvHead, key).alongHead;
    const TileLeft<Word> v = keySide<Word>(a.v, a.packedV, shape, range.s, range.kvHead, key).alongKeys;
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

void writeOutput(const AttentionShape& shape, const ColumnTile& c, const ForwardArrays& a,
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
void joinChunks(const AttentionShape& shape, const ColumnTile& c, float* partials, int chunks) {
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

}  // namespace
}  // namespace qdylora::QD_LEVEL
