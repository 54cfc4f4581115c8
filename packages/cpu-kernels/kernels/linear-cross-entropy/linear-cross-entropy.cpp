// Computes: head and loss in one, for a head that is trained (one that is not:
//   linear-cross-entropy.streamed.cpp): logits = x·Wᵀ, with a soft cap c·tanh(z / c) where c > 0; loss = Σ
//   factor·(logsumexp − logit of the target); and in the same pass dx and dW. Tokens with target −100 are
//   left out first.
// Owners: chunks of active tokens over the whole vocabulary; the logits of a chunk become its gradient in
//   place. Products as in native/gemm/product.h; in the softmax a thread owns rows.
// Cost: 3 times 2·active·vocabulary·hidden operations. Per chunk (85 to 128 tokens of a vocabulary of 49,152)
//   W is read twice, and dW read and written once.
// Assumes: contiguous arrays; lengths and targets are checked below. Workspace: 24 MiB of logits and some 3
//   MiB, for any number of tokens.
// Dropped: tiles of the vocabulary with the logits computed twice: bounded without chunks, but a third more
//   operations.
#include "linear-cross-entropy.logit-rows.h"
#include "../../native/gemm/product.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr Size LOGITS = Size{6} << 20;
constexpr Size MOST_TOKENS = 256;
// dx = G·W goes over the vocabulary in slices, so that the packed gradient stays small.
constexpr Size SLICE = 4096;

Size chunkTokens(Size tokens, Size vocabulary) {
  return larger<Size>(1, smaller(smaller(tokens, MOST_TOKENS), LOGITS / larger<Size>(vocabulary, 1)));
}

// The scratch: the logits of a chunk of tokens at its begin, then three more parts, in floats.
struct Plan {
  Size chunk;  // tokens of a chunk
  Size x;      // where the rows of its tokens begin
  Size dx;     // where their gradients begin
  Size work;   // where the scratch of products begins
  Size total;
};
Plan planFor(Size tokens, Size hidden, Size vocabulary, int threads) {
  const Size chunk = chunkTokens(tokens, vocabulary);
  const Size x = roundUp(chunk * vocabulary, 16);
  const Size dx = x + roundUp(chunk * hidden, 16);
  const Size work = dx + roundUp(chunk * hidden, 16);
  const Size forward = productScratch(chunk, hidden, threads);
  const Size input = productScratch(chunk, smaller(SLICE, vocabulary), threads);
  const Size weight = productScratch(vocabulary, chunk, threads);
  return {chunk, x, dx, work, work + larger(larger(forward, input), weight)};
}

double linearCrossEntropyScratch(Threads& threads, Size tokens, Size hidden, Size vocabulary) {
  return static_cast<double>(planFor(tokens, hidden, vocabulary, threads.count()).total);
}

// One token: its loss; its logits become factor · (softmax − one-hot), times the slope of the cap.
double softmaxRow(float* z, Size n, std::int32_t target, float factor, float cap) {
  if (cap > 0.f) capRow(z, n, cap);
  const float largest = largestOfRow(z, n);
  const float ofTarget = z[target];
  const double sum = sumOfExponentials(z, n, largest, cap == 0.f);
  const float scale = static_cast<float>(static_cast<double>(factor) / sum);
  if (cap > 0.f) {
    weighCapped(z, n, cap, largest, scale);
  } else {
    Size c = 0;
    for (; c + WIDTH <= n; c += WIDTH) store(z + c, load(z + c) * scale);
    for (; c < n; c++) z[c] *= scale;
  }
  z[target] -= factor * slopeOfCap(ofTarget, cap);
  return static_cast<double>(largest) - static_cast<double>(ofTarget) + __builtin_log(sum);
}

Status linearCrossEntropy(Threads& threads, In<float> x, Dense weight, In<std::int32_t> targets,
                          OptionalIn<float> tokenWeights, Out<float> loss, Out<float> tokenLosses,
                          Out<float> dx, Out<float> dWeight, Out<float> scratch, Size tokens, Size hidden,
                          Size vocabulary, double lossScale, float softCap, bool bf16) {
  if (vocabulary > MOST_VOCABULARY) return unsupported(TOO_MANY_LOGITS);
  const Plan plan = planFor(tokens, hidden, vocabulary, threads.count());
  QD_NEED(x, times(tokens, hidden));
  QD_NEED(weight, times(vocabulary, hidden));
  QD_NEED(targets, tokens);
  QD_NEED_IF_GIVEN(tokenWeights, tokens);
  QD_NEED(loss, 1);
  QD_NEED(tokenLosses, tokens);
  QD_NEED(dx, times(tokens, hidden));
  QD_NEED(dWeight, times(vocabulary, hidden));
  QD_NEED(scratch, plan.total);
  for (Size t = 0; t < tokens; t++) {
    const std::int32_t target = targets.data[t];
    if (target != IGNORED_TARGET && (target < 0 || static_cast<Size>(target) >= vocabulary))
      return badData(BAD_TARGET, t, target);
  }
  float* logits = scratch.data;
  float* rows = scratch.data + plan.x;
  float* dRows = scratch.data + plan.dx;
  float* work = scratch.data + plan.work;
  const Columns forward = rowsAsColumns(weight.f32, weight.bf16, hidden, bf16);
  double total = 0;
  double losses[MOST_TOKENS];
  float factors[MOST_TOKENS];
  Size token[MOST_TOKENS];
  for (Size t = 0; t < tokens;) {
    Size count = 0;
    for (; t < tokens && count < plan.chunk; t++) {
      tokenLosses.data[t] = 0.f;
      if (targets.data[t] == IGNORED_TARGET) {
        for (Size j = 0; j < hidden; j++) dx.data[t * hidden + j] = 0.f;
        continue;
      }
      copyFloats(x.data + t * hidden, rows + count * hidden, hidden);
      factors[count] = factorOf(t, lossScale, tokenWeights);
      token[count++] = t;
    }
    multiply(threads, {count, vocabulary, toFloats(logits, vocabulary)}, work,
             {rowMajor(rows, hidden, count, bf16), forward, hidden});
    const int parts = threads.partsFor(static_cast<double>(count) * static_cast<double>(vocabulary), 16384);
    threads.run(parts, [&](int part) {
      const Range mine = shareOf(count, parts, part);
      for (Size i = mine.begin; i < mine.end; i++)
        losses[i] =
            softmaxRow(logits + i * vocabulary, vocabulary, targets.data[token[i]], factors[i], softCap);
    });
    for (Size i = 0; i < count; i++) {
      tokenLosses.data[token[i]] = static_cast<float>(losses[i]);
      total += losses[i] * static_cast<double>(factors[i]);
    }
    for (Size from = 0; from < vocabulary; from += SLICE) {
      const Size slice = smaller(SLICE, vocabulary - from);
      const Columns w = columnsOf(weight.f32 ? weight.f32 + from * hidden : nullptr,
                                  weight.bf16 ? weight.bf16 + from * hidden : nullptr, hidden, bf16);
      multiply(threads, {count, hidden, toFloats(dRows, hidden, from > 0)}, work,
               {rowMajor(logits + from, vocabulary, count, bf16), w, slice});
    }
    for (Size i = 0; i < count; i++) copyFloats(dRows + i * hidden, dx.data + token[i] * hidden, hidden);
    multiply(
        threads, {vocabulary, hidden, toFloats(dWeight.data, hidden, true)}, work,
        {columnMajor(logits, vocabulary, vocabulary, bf16), columnsOf(rows, nullptr, hidden, bf16), count});
  }
  loss.data[0] = static_cast<float>(total);
  return ok();
}

}  // namespace
QD_EXPORT(linearCrossEntropyScratch)
QD_EXPORT(linearCrossEntropy)
}  // namespace qdylora::QD_LEVEL
