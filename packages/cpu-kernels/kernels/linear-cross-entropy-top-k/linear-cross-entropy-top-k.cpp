// Computes: head and loss in one for a head that is not trained, as linear-cross-entropy.streamed.h, and of
//   each row the k classes with the largest logits: their ids, log-probabilities in descending order, and the
//   probability of all other classes.
// Owners: a thread owns rows, and of each a heap of its k best classes so far, the least at the root.
// Cost: a comparison a logit, and k·ln(vocabulary / k) replaced roots of log k steps each: 425 for 64 of
//   49,152.
// Assumes: k ≤ vocabulary. Workspace: 8·k bytes for each row that a thread holds, besides the shared one. A
//   class is one whole number, so that equal logits go by the smaller id, and NaN has a place.
// Not done: a buffer of candidates with a selection where it is full: fewer steps, more code.
#include "../linear-cross-entropy/linear-cross-entropy.streamed.h"

namespace qdylora::QD_LEVEL {
namespace {

// A class: its logit in the order of numbers above, and below it what orders equal logits by ascending id.
std::uint64_t classOf(float logit, Size id) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, logit + 0.f);  // −0 is 0
  const std::uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return std::uint64_t{ordered} << 32 | (0xffffffffu - static_cast<std::uint32_t>(id));
}
float logitOf(std::uint64_t entry) {
  const std::uint32_t ordered = static_cast<std::uint32_t>(entry >> 32);
  return __builtin_bit_cast(float, ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}
std::int32_t idOf(std::uint64_t entry) {
  return static_cast<std::int32_t>(0xffffffffu - static_cast<std::uint32_t>(entry));
}

// Moves `entry` down from `at` of a heap of k entries until no child is less.
void sink(std::uint64_t* heap, Size k, Size at, std::uint64_t entry) {
  for (Size child = 2 * at + 1; child < k; child = 2 * at + 1) {
    if (child + 1 < k && heap[child + 1] < heap[child]) child++;
    if (entry <= heap[child]) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = entry;
}

struct TopClasses {
  // Columns that are compared with the least of the best before each is looked at.
  static constexpr Size STRETCH = 64;

  Size k;
  Out<std::int32_t> ids;        // [tokens][k]
  Out<float> logProbabilities;  // [tokens][k]
  Out<float> tailMass;          // [tokens]

  Size rowFloats() const { return 2 * k; }  // a heap of k classes of 8 bytes

  void see(const float* z, const Block& block, Size, float* rowState) const {
    std::uint64_t* heap = reinterpret_cast<std::uint64_t*>(rowState);
    Size c = 0;
    for (; c < block.columns && block.begin + c < k; c++) {
      heap[block.begin + c] = classOf(z[c], block.begin + c);
      if (block.begin + c + 1 < k) continue;
      for (Size at = k / 2; at-- > 0;) sink(heap, k, at, heap[at]);
    }
    for (; c < block.columns; c += STRETCH) {
      const Size end = smaller(c + STRETCH, block.columns);
      if (!(largestOfRow(z + c, end - c) > logitOf(heap[0]))) continue;
      for (Size at = c; at < end; at++)
        if (z[at] > logitOf(heap[0])) sink(heap, k, 0, classOf(z[at], block.begin + at));
    }
  }

  void finish(const Head& head, const HeadLoss& loss, const HeadRow& row, float* rowState) const {
    finishCrossEntropy(head, loss, row);
    std::uint64_t* heap = reinterpret_cast<std::uint64_t*>(rowState);
    // The least of the first n goes behind them: descending in the end.
    for (Size n = k; n > 1; n--) {
      const std::uint64_t last = heap[n - 1];
      heap[n - 1] = heap[0];
      sink(heap, n - 1, 0, last);
    }
    const double logSum = static_cast<double>(row.largest) + __builtin_log(row.sum);
    double mass = 0;
    for (Size i = 0; i < k; i++) {
      const float logProbability = static_cast<float>(static_cast<double>(logitOf(heap[i])) - logSum);
      ids.data[row.token * k + i] = idOf(heap[i]);
      logProbabilities.data[row.token * k + i] = logProbability;
      mass += __builtin_exp(static_cast<double>(logProbability));
    }
    tailMass.data[row.token] = k == loss.vocabulary || mass > 1.0 ? 0.f : static_cast<float>(1.0 - mass);
  }
};

double linearCrossEntropyTopKScratch(Threads& threads, Size tokens, Size hidden, Size vocabulary, Size k,
                                     bool bf16) {
  return headScratch(threads, tokens, hidden, vocabulary, TopClasses{k, {}, {}, {}}.rowFloats(), bf16);
}

Status linearCrossEntropyTopK(Threads& threads, In<float> x, Dense weight, In<std::int32_t> targets,
                              OptionalIn<float> tokenWeights, Out<float> loss, Out<float> tokenLosses,
                              OptionalOut<float> dx, Out<std::int32_t> topIds, Out<float> topLogProbabilities,
                              Out<float> tailMass, Out<float> scratch, Size tokens, Size hidden,
                              Size vocabulary, Size k, double lossScale, float softCap, bool bf16) {
  if (k < 1 || k > vocabulary) return unsupported("k must be within 1 and the vocabulary");
  QD_NEED(targets, tokens);
  QD_NEED(topIds, times(tokens, k));
  QD_NEED(topLogProbabilities, times(tokens, k));
  QD_NEED(tailMass, tokens);
  for (Size t = 0; t < tokens; t++) {
    if (targets.data[t] != IGNORED_TARGET) continue;
    tailMass.data[t] = 0.f;
    for (Size i = t * k; i < (t + 1) * k; i++) {
      topIds.data[i] = 0;
      topLogProbabilities.data[i] = 0.f;
    }
  }
  return streamHead(threads,
                    {x, weight, targets, tokenWeights, loss, tokenLosses, dx, scratch, tokens, hidden,
                     vocabulary, lossScale, softCap, bf16},
                    TopClasses{k, topIds, topLogProbabilities, tailMass});
}

}  // namespace
QD_EXPORT(linearCrossEntropyTopKScratch)
QD_EXPORT(linearCrossEntropyTopK)
}  // namespace qdylora::QD_LEVEL
