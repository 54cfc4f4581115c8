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

// 24 MiB of logits: a chunk of a vocabulary of 49,152 then has 128 tokens.
constexpr Size LOGITS = Size{6} << 20;
constexpr Size MOST_TOKENS = 256;
// dx = G·W goes over the vocabulary in slices, so that the packed gradient stays small.
constexpr Size SLICE = 4096;
// Logits per thread below which it is not woken: half of ELEMENTWISE_GRAIN, for an exponential each. Not
// tuned.
constexpr double SOFTMAX_GRAIN = 16384;

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

// The active tokens that are computed together.
struct Chunk {
  Size count;
  Size tokens[MOST_TOKENS];
  std::int32_t targets[MOST_TOKENS];
  float factors[MOST_TOKENS];  // what each token's loss is multiplied by
  double losses[MOST_TOKENS];
};

// The logits of a chunk become their gradients G, in place.
void softmaxRows(Threads& threads, float* logits, Size vocabulary, Chunk& chunk, float softCap) {
  const double logitCount = static_cast<double>(chunk.count) * static_cast<double>(vocabulary);
  const int parts = threads.partsFor(logitCount, SOFTMAX_GRAIN);
  threads.run(parts, [&](int part) {
    const Range rows = shareOf(chunk.count, parts, part);
    for (Size i = rows.begin; i < rows.end; i++)
      chunk.losses[i] =
          softmaxRow(logits + i * vocabulary, vocabulary, chunk.targets[i], chunk.factors[i], softCap);
  });
}

// The three products of a chunk of `count` tokens. x, dx: [count, hidden]; logits and G: [count, vocabulary].
struct HeadProducts {
  Threads& threads;
  const Dense& weight;  // [vocabulary, hidden]
  Size hidden, vocabulary;
  bool bf16;
  float* scratch;

  // logits = x·Wᵀ
  void multiplyLogits(const float* x, Size count, float* logits) const {
    multiply(
        threads, {count, vocabulary, toFloats(logits, vocabulary)}, scratch,
        {rowMajor(x, hidden, count, bf16), rowsAsColumns(weight.f32, weight.bf16, hidden, bf16), hidden});
  }
  // dx = G·W, slice by slice of the vocabulary
  void multiplyInputGradient(const float* g, Size count, float* dx) const {
    for (Size from = 0; from < vocabulary; from += SLICE) {
      const Columns w = columnsOf(weight.f32 ? weight.f32 + from * hidden : nullptr,
                                  weight.bf16 ? weight.bf16 + from * hidden : nullptr, hidden, bf16);
      multiply(threads, {count, hidden, toFloats(dx, hidden, from > 0)}, scratch,
               {rowMajor(g + from, vocabulary, count, bf16), w, smaller(SLICE, vocabulary - from)});
    }
  }
  // dW += Gᵀ·x
  void addWeightGradient(const float* g, const float* x, Size count, float* dWeight) const {
    multiply(threads, {vocabulary, hidden, toFloats(dWeight, hidden, true)}, scratch,
             {columnMajor(g, vocabulary, vocabulary, bf16), columnsOf(x, nullptr, hidden, bf16), count});
  }
};

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
  if (const Status s = checkTargets(targets, tokens, vocabulary); s.code != Status::OK) return s;
  float* logits = scratch.data;
  float* rows = scratch.data + plan.x;
  float* dRows = scratch.data + plan.dx;
  const HeadProducts products{threads, weight, hidden, vocabulary, bf16, scratch.data + plan.work};
  double total = 0;
  Chunk chunk;
  for (Size t = 0; t < tokens;) {
    chunk.count = 0;
    for (; t < tokens && chunk.count < plan.chunk; t++) {
      tokenLosses.data[t] = 0.f;
      if (targets.data[t] == IGNORED_TARGET) {
        for (Size j = 0; j < hidden; j++) dx.data[t * hidden + j] = 0.f;
        continue;
      }
      copyFloats(x.data + t * hidden, rows + chunk.count * hidden, hidden);
      chunk.factors[chunk.count] = factorOf(t, lossScale, tokenWeights);
      chunk.targets[chunk.count] = targets.data[t];
      chunk.tokens[chunk.count++] = t;
    }
    products.multiplyLogits(rows, chunk.count, logits);
    softmaxRows(threads, logits, vocabulary, chunk, softCap);
    products.multiplyInputGradient(logits, chunk.count, dRows);
    for (Size i = 0; i < chunk.count; i++) {
      const Size token = chunk.tokens[i];
      copyFloats(dRows + i * hidden, dx.data + token * hidden, hidden);
      tokenLosses.data[token] = static_cast<float>(chunk.losses[i]);
      total += chunk.losses[i] * static_cast<double>(chunk.factors[i]);
    }
    products.addWeightGradient(logits, rows, chunk.count, dWeight.data);
  }
  loss.data[0] = static_cast<float>(total);
  return ok();
}

}  // namespace
QD_EXPORT(linearCrossEntropyScratch)
QD_EXPORT(linearCrossEntropy)
}  // namespace qdylora::QD_LEVEL
