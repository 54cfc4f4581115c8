#pragma once
#include "../../native/attention/packed-keys.h"
#include "causal-attention.backward-items.h"

// The gradient of one tile of columns with one tile of keys: from products to weights (p and e), and from
// these to dq, dk and dv.
namespace qdylora::QD_LEVEL {
namespace {

// Scores are computed strip by strip, so that their numbers stay in the first cache. In tiles the next strip
// is computed while this one is weighed, so that vectors work while tiles do.
constexpr int STRIP_KEYS = AMX_TILES ? 32 : KEY_TILE;
constexpr int STRIP_COLUMNS = AMX_TILES ? 32 : COLUMNS;
constexpr int STRIP_BUFFERS = AMX_TILES ? 2 : 1;
constexpr Size STRIP_FLOATS = STRIP_KEYS * STRIP_COLUMNS;

struct BackwardArrays {
  Numbers q, k, v, y;
  const float* logSumExp;  // [heads][queries]
  Numbers dy;
  Results dq, dk, dv;
  ScoreRule rule;
  PackedKeys packedK, packedV;  // unset where products are of floats
};

// Scratch of one thread, in words.
template <class Word>
struct Buffers {
  Word* q;          // [depthWords][COLUMNS]: columns along lanes
  Word* dy;         // the same
  Word* qRows;      // [COLUMNS][paddedDim]: columns as the depth of dk's product
  Word* dyRows;     // the same, for dv
  float* scores;    // STRIP_BUFFERS strips of q·k
  float* products;  // and of dy·v
  Word* p;          // [KEY_TILE][COLUMNS]: rows of keys, for dv
  Word* e;          // the same, for dk
  Word* eKeys;      // the same for dq, pairs of keys along lanes of columns (floats: `e` itself)
  float* dq;        // [laneRows][COLUMNS]
  float* dyTimesY;  // [COLUMNS]: dy·y
  float* exponent;  // [COLUMNS]: logSumExp as an exponent of 2
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

// Fills `dyTimesY` and `exponent`; 0 past the last column, where q and dy are 0 too.
template <class Word>
void packColumnNumbers(const Buffers<Word>& b, const BackwardArrays& a, const AttentionShape& shape,
                       const ColumnTile& c) {
  for (int i = 0; i < COLUMNS; i++) {
    b.dyTimesY[i] = 0;
    b.exponent[i] = 0;
  }
  for (int i = 0; i < c.count; i++) {
    const Size at = c.offset[i];
    F32x sum{};
    for (Size d = 0; d < shape.headDim; d += WIDTH)
      sum = fma(loadUpTo(a.dy + at, d, shape.headDim), loadUpTo(a.y + at, d, shape.headDim), sum);
    b.dyTimesY[i] = sumOf(sum);
    b.exponent[i] = a.logSumExp[c.number[i]] * LOG2_E;
  }
}

// Some keys and columns of a tile.
struct Strip {
  int row, rows;          // rows [row, row + rows) of the tile's keys
  int column, columns;    // columns [column, column + columns) of the tile
  const float* scores;    // [rows][STRIP_COLUMNS]: q·k
  const float* products;  // the same: dy·v
};

// Of WIDTH columns and one key: the probability, and its gradient with respect to the product q·k (without
// the scale).
struct Weight {
  F32x p, e;
};

// Score and dy·v of WIDTH columns and one key → p and e. A masked entry is 0 whatever its numbers were.
template <bool MASK, bool RULE, class Word>
QD_INLINE Weight weightAt(const Buffers<Word>& b, const ColumnTile& c, const Strip& s, int key, int row,
                          int column, const ScoreRule& rule, float factor) {
  const int at = row * STRIP_COLUMNS + column;
  const int inTile = s.column + column;
  F32x slope;
  F32x score = load(s.scores + at);
  if constexpr (RULE) score = rule.capped(score, &slope) + c.bias(key + row, inTile);
  F32x p = exponential2(fma(score, all(factor), -load(b.exponent + inTile)));
  F32x e = p * (load(s.products + at) - load(b.dyTimesY + inTile));
  if constexpr (RULE) e = e * slope;
  if constexpr (MASK) {
    const I32x sees = c.sees(key + row, inTile);
    p = select(sees, p, F32x{});
    e = select(sees, e, F32x{});
  }
  return {p, e};
}

// Scores and dy·v of a strip → its p and e, as words. `key`: of the strip's first row.
template <bool MASK, bool RULE, class Word>
void weigh(const Buffers<Word>& b, const ColumnTile& c, const Strip& s, int key, const ScoreRule& rule) {
  const float factor = rule.toExponent();
  const Size to = static_cast<Size>(s.row) * KEY_STEP<Word> + static_cast<Size>(s.column / PER_WORD<Word>);
  if constexpr (IS_PAIR<Word>) {
    for (int j = 0; j < s.columns; j += 2 * WIDTH) {
      for (int i = 0; i < s.rows; i += 2) {
        I32x e[2];
        for (int r = 0; r < 2; r++) {
          const Weight low = weightAt<MASK, RULE>(b, c, s, key, i + r, j, rule, factor);
          const Weight high = weightAt<MASK, RULE>(b, c, s, key, i + r, j + WIDTH, rule, factor);
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

template <class Word>
QD_INLINE void weighStrip(const Buffers<Word>& b, const ColumnTile& c, const Strip& s, int key,
                          const ScoreRule& rule) {
  const int first = key + s.row;
  const bool mask = !c.seeAll(first, first + s.rows);
  if (rule.changesScores())
    mask ? weigh<true, true>(b, c, s, first, rule) : weigh<false, true>(b, c, s, first, rule);
  else
    mask ? weigh<true, false>(b, c, s, first, rule) : weigh<false, false>(b, c, s, first, rule);
}

template <class Word>
QD_INLINE TileLeft<Word> from(const TileLeft<Word>& rows, int row) {
  return {rows.at + static_cast<Size>(row) * rows.rowStride, rows.rowStride, rows.depthStride};
}

// The products of one tile of columns with one tile of keys.
template <class Word>
struct TilePair {
  const AttentionShape& shape;
  const ColumnTile& c;
  const BackwardArrays& a;
  const Buffers<Word>& b;
  KeySide<Word> k, v;
  int key, rows;  // the first key of the tile, and its rows

  int stripsAcross() const { return (c.width + STRIP_COLUMNS - 1) / STRIP_COLUMNS; }
  int strips() const { return stripsAcross() * ((rows + STRIP_KEYS - 1) / STRIP_KEYS); }

  // Scores and dy·v of strip i.
  QD_INLINE Strip score(int i) const {
    const int words = static_cast<int>(depthWords<Word>(shape));
    const int row = i / stripsAcross() * STRIP_KEYS;
    const int column = i % stripsAcross() * STRIP_COLUMNS;
    const Size buffer = static_cast<Size>(i % STRIP_BUFFERS) * STRIP_FLOATS;
    float* const scores = b.scores + buffer;
    float* const products = b.products + buffer;
    const int stripRows = smaller(STRIP_KEYS, rows - row);
    const int columns = smaller(STRIP_COLUMNS, c.width - column);
    tileProduct<Sums::set, Word>({scores, STRIP_COLUMNS}, from(k.alongHead, row), {b.q + column, COLUMNS},
                                 stripRows, columns, words);
    tileProduct<Sums::set, Word>({products, STRIP_COLUMNS}, from(v.alongHead, row), {b.dy + column, COLUMNS},
                                 stripRows, columns, words);
    return {row, stripRows, column, columns, scores, products};
  }

  // p and e of all strips. `between` is called after the products of each strip.
  template <class Between>
  QD_INLINE void weighAll(const Between& between) const {
    const int count = strips();
    Strip strip[STRIP_BUFFERS];
    const auto scoreNext = [&](int i) {
      strip[i % STRIP_BUFFERS] = score(i);
      between();
    };
    scoreNext(0);
    for (int i = 0; i < count; i++) {
      if (STRIP_BUFFERS > 1 && i + 1 < count) scoreNext(i + 1);
      weighStrip(b, c, strip[i % STRIP_BUFFERS], key, a.rule);
    }
  }

  // dq of the columns; the first tile of keys (`add` false) sets it.
  QD_INLINE void addQueries(bool add) const {
    const int width = IS_PAIR<Word> ? roundUp(c.width, 2 * WIDTH) : c.width;
    const int dim = dimRows<Word>(shape);
    const TileRight<Word> e{b.eKeys, COLUMNS};
    if (add)
      tileProduct<Sums::add, Word>({b.dq, COLUMNS}, k.alongKeys, e, dim, width, rows / PER_WORD<Word>);
    else
      tileProduct<Sums::set, Word>({b.dq, COLUMNS}, k.alongKeys, e, dim, width, rows / PER_WORD<Word>);
  }

  // dv or dk of the keys: weights (p or e) times columns (dy or q).
  QD_INLINE void addKeys(float* sums, const Word* weights, const Word* columns) const {
    const Size stride = shape.paddedDim();
    tileProduct<Sums::add, Word>({sums, stride}, {weights, KEY_STEP<Word>, 1}, {columns, stride}, rows,
                                 static_cast<int>(stride), columnWords<Word>(c));
  }
};

}  // namespace
}  // namespace qdylora::QD_LEVEL
