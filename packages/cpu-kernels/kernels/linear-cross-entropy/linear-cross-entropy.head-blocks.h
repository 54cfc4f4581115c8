#pragma once
#include "linear-cross-entropy.logit-rows.h"
#include "../../native/gemm/product.h"

// A head in blocks of its vocabulary, and what a thread keeps of its rows from block to block.
namespace qdylora::QD_LEVEL {
namespace {

// Columns of a block; rows that pass over it together; rows that a part holds at a time; floats of packed W,
// roughly.
constexpr Size BLOCK_COLUMNS = 512;
constexpr Size BLOCK_ROWS = 128;
constexpr Size MOST_PART_ROWS = 1024;
constexpr Size PACKED_WEIGHT = Size{1} << 20;
// Exponents by which a logit may exceed the subtracted one before the sums so far are rescaled.
constexpr float SLACK = 8.f;

struct Sizes {
  Size hidden, vocabulary;
  bool pairs;
  Size words() const { return wordsOf(hidden, pairs); }
  Size blockWords() const { return wordsOf(BLOCK_COLUMNS, pairs); }
  Size paddedHidden() const { return roundUp(hidden, PANEL); }
  // Floats of a block of W, packed for logits and for dx.
  Size forLogits() const { return BLOCK_COLUMNS * words(); }
  Size forGradient() const { return paddedHidden() * blockWords(); }
  Size blocks() const { return divideUp(vocabulary, BLOCK_COLUMNS); }
  // Blocks of a round.
  Size together() const {
    return larger<Size>(1, smaller(blocks(), PACKED_WEIGHT / larger<Size>(forLogits() + forGradient(), 1)));
  }
  // The depth of a product's logits is cut where its panels would leave the first-level cache.
  Size depthStep() const {
    return words() <= mostWords(pairs) ? larger<Size>(hidden, 1)
                                       : roundUp(divideUp(hidden, divideUp(words(), mostWords(pairs))), 64);
  }
};

// A thread's scratch.
struct ThreadScratch {
  float* x;         // packed stripes of its rows
  float* dx;        // [rows][hidden]: not yet divided by the sum
  float* logits;    // of a row group and a block
  float* weights;   // packed stripes of the group's softmax weights
  float* largest;   // [rows]: the exponent that is subtracted
  float* ofTarget;  // [rows]: the logit of the target
  double* sum;      // [rows]: Σ weights
  float* classes;   // [rows][Classes::rowFloats()]
  LateRows* late;
};
// The floats of each of its arrays, on cache lines. `rows`: the most that it holds.
struct ThreadSizes {
  Size x;
  Size dx;
  Size logits;
  Size weights;
  Size row;   // of `largest` and of `ofTarget`
  Size sums;  // of `sum`
  Size classes;

  ThreadSizes(const Sizes& s, Size rows, Size classFloats)
      : x(roundUp(roundUp(rows, ROW_UNIT) * s.words() + WIDTH, 16)),
        dx(roundUp(rows * s.hidden, 16)),
        logits(BLOCK_ROWS * BLOCK_COLUMNS),
        weights(BLOCK_ROWS * s.blockWords()),
        row(roundUp(rows, 16)),
        sums(roundUp(2 * rows, 16)),
        classes(roundUp(rows * classFloats, 16)) {}
  Size floats() const { return x + dx + logits + weights + 2 * row + sums + classes; }
};
ThreadScratch threadScratchAt(float* at, const ThreadSizes& sizes, LateRows& late) {
  const auto take = [&](Size floats) {
    float* here = at;
    at += floats;
    return here;
  };
  float* x = take(sizes.x);
  float* dx = take(sizes.dx);
  float* logits = take(sizes.logits);
  float* weights = take(sizes.weights);
  float* largest = take(sizes.row);
  float* ofTarget = take(sizes.row);
  double* sum = reinterpret_cast<double*>(take(sizes.sums));
  return {x, dx, logits, weights, largest, ofTarget, sum, take(sizes.classes), &late};
}
Size partRows(Size tokens) { return roundUp(smaller(larger<Size>(tokens, 1), MOST_PART_ROWS), ROW_UNIT); }

Size scratchFloats(const Sizes& s, Size tokens, Size classFloats, int threads) {
  return roundUp(s.together() * (s.forLogits() + s.forGradient()), 16) +
         static_cast<Size>(threads) * ThreadSizes(s, partRows(tokens), classFloats).floats();
}

// The workspace of `streamHead`; `classFloats`: the state that its `Classes` has of a row.
double headScratch(Threads& threads, Size tokens, Size hidden, Size vocabulary, Size classFloats, bool bf16) {
  const Sizes sizes{hidden, vocabulary, BF16_PAIRS && bf16};
  return static_cast<double>(scratchFloats(sizes, tokens, classFloats, threads.count()));
}

// A block of the vocabulary.
struct Block {
  Size begin, columns;  // rows [begin, begin + columns) of W
  float* forLogits;     // packed panels, for x·Wᵀ
  float* forGradient;   // packed panels, for weights·W
};

struct Head {
  Dense weight;
  Sizes sizes;
  bool bf16;
  Columns asRows() const { return rowsAsColumns(weight.f32, weight.bf16, sizes.hidden, bf16); }
  Columns from(Size row) const {
    return columnsOf(weight.f32 ? weight.f32 + row * sizes.hidden : nullptr,
                     weight.bf16 ? weight.bf16 + row * sizes.hidden : nullptr, sizes.hidden, bf16);
  }
  Form form() const { return sizes.pairs ? Form::pairs : asRows().single(); }
  float at(Size row, Size j) const {
    const float v =
        weight.f32 ? weight.f32[row * sizes.hidden + j] : fromBf16(weight.bf16[row * sizes.hidden + j]);
    return bf16 ? roundToBf16(v) : v;
  }
};

}  // namespace
}  // namespace qdylora::QD_LEVEL
