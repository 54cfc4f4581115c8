// Computes: head and loss in one, for a head that is not trained; all logits never exist at once. A block of
//   the vocabulary gives logits of some rows. These become unnormalized weights of a running softmax, as in
//   attention, and the weights times the same block of W are added to dx. At the end dx = factor · (dx / Σ −
//   W[target]).
// Owners: a thread owns rows. The blocks of W of a round are packed by all threads together, once for logits
//   and once for dx, between two barriers.
// Cost: 2·active·vocabulary·hidden operations, twice that with dx. W is read twice per 1,024 rows of a
//   thread; logits stay in the second-level cache.
// Assumes: contiguous arrays; lengths and targets are checked in `streamHead`. Workspace: about 4 MiB of
//   packed W, and 5 MiB a thread, for any number of tokens.
// Variants: a `Classes` sees the logits of each row block by block, may change them before they are summed,
//   and turns the sums of a row into its loss and its gradient. `TargetClass` is the cross-entropy alone.
// Dropped: whole chunks of logits in memory: twice the time with tile registers, since it is bound by memory.
//   A trained head still does so (linear-cross-entropy.cpp).
#pragma once
#include "linear-cross-entropy.head-blocks.h"

namespace qdylora::QD_LEVEL {
namespace {

// This part's share of a block's panels.
void packBlock(const Head& head, const Block& block, bool gradient, int parts, int part) {
  const Sizes& s = head.sizes;
  const Range panels = shareOf(divideUp(block.columns, PANEL), parts, part);
  for (Size k = 0, before = 0; k < s.hidden && panels.begin < panels.end; k += s.depthStep()) {
    const Size depth = smaller(s.depthStep(), s.hidden - k);
    const Size words = wordsOf(depth, s.pairs);
    const Size column = panels.begin * PANEL;
    packDensePanels(head.asRows(), head.form(), block.begin + column,
                    smaller(panels.end * PANEL, block.columns) - column, k, depth,
                    block.forLogits + BLOCK_COLUMNS * before + column * words);
    before += words;
  }
  const Range columns = shareOf(s.hidden, parts, part, PANEL);
  if (!gradient || columns.begin >= columns.end) return;
  packDensePanels(head.from(block.begin), head.form(), columns.begin, columns.end - columns.begin, 0,
                  block.columns, block.forGradient + columns.begin * wordsOf(block.columns, s.pairs));
}

// Some rows of a thread, at most BLOCK_ROWS.
struct RowGroup {
  Size begin, count;  // rows [begin, begin + count)
  Size tiles;         // stripes that they are cut into
};

template <class Visit>
void eachStripe(const RowGroup& group, bool pairs, const Visit& visit) {
  for (Size i = 0; i < group.tiles; i++) {
    const Range rows = tileRows(group.count, group.tiles, i, pairs);
    visit(rows.begin, rows.end - rows.begin, roundUp(rows.end - rows.begin, rowUnit(pairs, false)));
  }
}

// logits[count][BLOCK_COLUMNS] = x · Wᵀ of a block.
void makeLogits(const Sizes& s, const Block& block, const RowGroup& group, const ThreadScratch& thread) {
  for (Size k = 0, before = 0; k < s.hidden; k += s.depthStep()) {
    const Size words = wordsOf(smaller(s.depthStep(), s.hidden - k), s.pairs);
    for (Size p = 0; p < block.columns; p += PANEL) {
      eachStripe(group, s.pairs, [&](Size first, Size rows, Size height) {
        const DepthSegment segment{thread.x + (group.begin + first) * s.words() + before * height,
                                   block.forLogits + BLOCK_COLUMNS * before + p * words,
                                   words,
                                   nullptr,
                                   0,
                                   nullptr};
        multiplyTile(
            rows, {&segment, 1, s.pairs, thread.logits + first * BLOCK_COLUMNS + p, BLOCK_COLUMNS, nowhere(),
                   PANEL, k == 0 ? Start::overwrite : Start::add, nullptr, thread.late, 0});
      });
    }
    before += words;
  }
  thread.late->finish();
  for (Size i = 0; s.hidden == 0 && i < group.count * BLOCK_COLUMNS; i++) thread.logits[i] = 0.f;
}

// The operands that all variants share.
struct HeadLoss {
  In<float> x;
  Dense weight;
  In<std::int32_t> targets;
  OptionalIn<float> tokenWeights;
  Out<float> loss, tokenLosses;
  OptionalOut<float> dx;
  Out<float> scratch;
  Size tokens, hidden, vocabulary;
  double lossScale;
  float softCap;
  bool bf16;
};

// A token's row, and after the last block what it has summed.
struct HeadRow {
  Size token;
  std::int32_t target;
  float largest, ofTarget;  // the exponent that is subtracted; the logit of the target
  double sum;               // Σ weights
  const float* dx;          // [hidden]: Σ weights · W, with the slopes of the cap
};

// The cross-entropy of a row, and its gradient.
void finishCrossEntropy(const Head& head, const HeadLoss& loss, const HeadRow& row) {
  const Size t = row.token;
  const Size hidden = loss.hidden;
  const Size target = static_cast<Size>(row.target);
  loss.tokenLosses.data[t] = static_cast<float>(static_cast<double>(row.largest) -
                                                static_cast<double>(row.ofTarget) + __builtin_log(row.sum));
  const float factor = factorOf(t, loss.lossScale, loss.tokenWeights);
  const float slope = slopeOfCap(row.ofTarget, loss.softCap);
  const float scale = static_cast<float>(static_cast<double>(factor) / row.sum);
  for (Size j = 0; loss.dx.data && j < hidden; j++)
    loss.dx.data[t * hidden + j] = row.dx[j] * scale - factor * slope * head.at(target, j);
}

struct TargetClass {
  // Floats of the state that a row has from block to block.
  Size rowFloats() const { return 0; }
  // Called with a block of a row's logits before they are summed, which it may change, and the row's state.
  void see(float*, const Block&, Size, float*) const {}
  void finish(const Head& head, const HeadLoss& loss, const HeadRow& row, float*) const {
    finishCrossEntropy(head, loss, row);
  }
};

// dx[count][hidden] (+)= weights · W of a block.
void addGradients(const Head& head, const Block& block, const RowGroup& group, bool isFirst,
                  const ThreadScratch& thread) {
  const Sizes& s = head.sizes;
  const Size words = wordsOf(block.columns, s.pairs);
  const Rows weights = rowMajor(thread.logits, BLOCK_COLUMNS, group.count, head.bf16);
  eachStripe(group, s.pairs, [&](Size first, Size rows, Size) {
    packStripe(weights, s.pairs, first, rows, 0, block.columns, thread.weights + first * words);
  });
  for (Size p = 0; p < s.hidden; p += PANEL) {
    eachStripe(group, s.pairs, [&](Size first, Size rows, Size) {
      const DepthSegment segment{
          thread.weights + first * words, block.forGradient + p * words, words, nullptr, 0, nullptr};
      multiplyTile(rows, {&segment, 1, s.pairs, thread.dx + (group.begin + first) * s.hidden + p, s.hidden,
                          nowhere(), smaller(PANEL, s.hidden - p), isFirst ? Start::overwrite : Start::add,
                          nullptr, thread.late, 0});
    });
  }
  thread.late->finish();
}

// One thread's work on a call: rounds of rows, each against all blocks of the vocabulary.
template <class Classes>
struct HeadPart {
  Threads& threads;
  const Head& head;
  const HeadLoss& operands;
  const Classes& classes;
  int parts, part;
  Size active;    // tokens that have a target
  Size rounds;    // of all threads
  float* packed;  // the blocks of W that are packed together: for logits, then for dx
  ThreadScratch thread;
  Size tokens[MOST_PART_ROWS];  // the token of each row of the round
  Size rowCount;                // rows of the round
  Size nextToken;               // the first token after them, in the order of the rounds
  Size passed;                  // tokens before it that have a target

  void run() {
    for (Size round = 0; round < rounds; round++) {
      takeRows(round);
      packRows();
      for (Size first = 0; first < head.sizes.blocks(); first += head.sizes.together()) passBlocks(first);
      finishRows();
    }
  }

 private:
  bool hasGradient() const { return operands.dx.data != nullptr; }

  // The part's share of the tokens of a round.
  void takeRows(Size round) {
    const Size from = active * round / rounds;
    const Range share = shareOf(active * (round + 1) / rounds - from, parts, part);
    rowCount = share.end - share.begin;
    for (; passed < from + share.end; nextToken++) {
      if (operands.targets.data[nextToken] == IGNORED_TARGET) continue;
      if (passed >= from + share.begin) tokens[passed - from - share.begin] = nextToken;
      passed++;
    }
  }

  template <class Visit>
  void eachGroup(const Visit& visit) const {
    for (Size begin = 0; begin < rowCount; begin += BLOCK_ROWS) {
      const Size rows = smaller(BLOCK_ROWS, rowCount - begin);
      visit(RowGroup{begin, rows, divideUp(rows, stripeRows(head.sizes.pairs))});
    }
  }

  // Packs the rows of x. Rows that have a target need not be adjacent: they are gathered in the memory of dx
  // first.
  void packRows() const {
    const Sizes& s = head.sizes;
    const Size hidden = s.hidden;
    eachGroup([&](const RowGroup& group) {
      for (Size i = 0; i < group.count; i++)
        copyFloats(operands.x.data + tokens[group.begin + i] * hidden, thread.dx + i * hidden, hidden);
      const Rows rows = rowMajor(thread.dx, hidden, group.count, head.bf16);
      eachStripe(group, s.pairs, [&](Size first, Size height, Size) {
        packStripe(rows, s.pairs, first, height, 0, hidden, thread.x + (group.begin + first) * s.words());
      });
    });
  }

  // Block `first` + i of the vocabulary, in place i of the packed ones.
  Block blockAt(Size first, Size i) const {
    const Sizes& s = head.sizes;
    const Size begin = (first + i) * BLOCK_COLUMNS;
    return {begin, smaller(BLOCK_COLUMNS, s.vocabulary - begin), packed + i * s.forLogits(),
            packed + s.together() * s.forLogits() + i * s.forGradient()};
  }

  // The rows against the blocks from `first` on that are packed together.
  void passBlocks(Size first) {
    const Size count = smaller(head.sizes.together(), head.sizes.blocks() - first);
    for (Size i = 0; i < count; i++) packBlock(head, blockAt(first, i), hasGradient(), parts, part);
    threads.barrier();
    for (Size i = 0; i < count; i++) {
      const Block block = blockAt(first, i);
      const bool isFirst = first + i == 0;
      eachGroup([&](const RowGroup& group) {
        makeLogits(head.sizes, block, group, thread);
        for (Size r = 0; r < group.count; r++)
          weighRow(thread.logits + r * BLOCK_COLUMNS, block, group.begin + r, isFirst);
        if (hasGradient()) addGradients(head, block, group, isFirst, thread);
      });
    }
    threads.barrier();
  }

  // One row's logits of a block → its weights, and what the row has summed so far.
  void weighRow(float* z, const Block& block, Size row, bool isFirst) const {
    const float cap = operands.softCap;
    if (cap > 0.f) capRow(z, block.columns, cap);
    const Size target = static_cast<Size>(operands.targets.data[tokens[row]]);
    const Size at = target - block.begin;
    if (target >= block.begin && at < block.columns) thread.ofTarget[row] = z[at];
    classes.see(z, block, tokens[row], thread.classes + row * classes.rowFloats());
    const float highest = largestOfRow(z, block.columns);
    if (isFirst) {
      thread.largest[row] = highest;
      thread.sum[row] = 0;
    } else if (highest > thread.largest[row] + SLACK) {
      rescaleRow(row, exponential(all(thread.largest[row] - highest))[0]);
      thread.largest[row] = highest;
    }
    thread.sum[row] += sumOfExponentials(z, block.columns, thread.largest[row], hasGradient() && cap == 0.f);
    if (hasGradient() && cap > 0.f) weighCapped(z, block.columns, cap, thread.largest[row], 1.f);
  }

  // Multiplies what a row has summed so far.
  void rescaleRow(Size row, float change) const {
    thread.sum[row] *= static_cast<double>(change);
    if (!hasGradient()) return;
    const Size hidden = head.sizes.hidden;
    float* dx = thread.dx + row * hidden;
    for (Size j = 0; j < hidden; j += WIDTH) {
      const int n = static_cast<int>(smaller<Size>(WIDTH, hidden - j));
      storeFirst(dx + j, loadFirst(dx + j, n) * change, n);
    }
  }

  // The losses and gradients of the round's rows.
  void finishRows() const {
    for (Size i = 0; i < rowCount; i++) {
      const HeadRow row{tokens[i],         operands.targets.data[tokens[i]],
                        thread.largest[i], thread.ofTarget[i],
                        thread.sum[i],     thread.dx + i * head.sizes.hidden};
      classes.finish(head, operands, row, thread.classes + i * classes.rowFloats());
    }
  }
};

// Clears the results of tokens without a target. Returns the number of the others.
Size clearIgnored(const HeadLoss& operands) {
  Size active = 0;
  for (Size t = 0; t < operands.tokens; t++) {
    operands.tokenLosses.data[t] = 0.f;
    if (operands.targets.data[t] != IGNORED_TARGET) {
      active++;
      continue;
    }
    if (!operands.dx.data) continue;
    for (Size j = 0; j < operands.hidden; j++) operands.dx.data[t * operands.hidden + j] = 0.f;
  }
  return active;
}

// The factors of the tokens times their losses.
double totalLoss(const HeadLoss& operands) {
  double total = 0;
  for (Size t = 0; t < operands.tokens; t++)
    total += static_cast<double>(operands.tokenLosses.data[t]) *
             static_cast<double>(factorOf(t, operands.lossScale, operands.tokenWeights));
  return total;
}

template <class Classes>
Status streamHead(Threads& threads, const HeadLoss& operands, const Classes& classes) {
  const Size tokens = operands.tokens;
  const Size hidden = operands.hidden;
  const Size vocabulary = operands.vocabulary;
  if (vocabulary > MOST_VOCABULARY) return unsupported(TOO_MANY_LOGITS);
  const Head head{operands.weight, {hidden, vocabulary, BF16_PAIRS && operands.bf16}, operands.bf16};
  const Sizes& s = head.sizes;
  QD_NEED(operands.x, times(tokens, hidden));
  QD_NEED(operands.weight, times(vocabulary, hidden));
  QD_NEED(operands.targets, tokens);
  QD_NEED_IF_GIVEN(operands.tokenWeights, tokens);
  QD_NEED(operands.loss, 1);
  QD_NEED(operands.tokenLosses, tokens);
  QD_NEED_IF_GIVEN(operands.dx, times(tokens, hidden));
  QD_NEED(operands.scratch, scratchFloats(s, tokens, classes.rowFloats(), threads.count()));
  if (const Status status = checkTargets(operands.targets, tokens, vocabulary); status.code != Status::OK)
    return status;
  const Size active = clearIgnored(operands);
  const int parts = partsForProduct(threads, active, vocabulary, hidden);
  const Size rounds = divideUp(active, partRows(tokens) * static_cast<Size>(parts));
  float* const packed = operands.scratch.data;
  float* const threadScratch = packed + roundUp(s.together() * (s.forLogits() + s.forGradient()), 16);
  threads.run(parts, [&](int part) {
    [[maybe_unused]] const TileRegisters registers;
    const ThreadSizes sizes(s, partRows(tokens), classes.rowFloats());
    LateRows late;
    HeadPart<Classes> work{
        threads,  head,
        operands, classes,
        parts,    part,
        active,   rounds,
        packed,   threadScratchAt(threadScratch + static_cast<Size>(part) * sizes.floats(), sizes, late)};
    work.run();
  });
  operands.loss.data[0] = static_cast<float>(totalLoss(operands));
  return ok();
}

}  // namespace
}  // namespace qdylora::QD_LEVEL
