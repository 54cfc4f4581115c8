// Computes: head and distillation loss in one for a head that is not trained, as
//   linear-cross-entropy.streamed.h: (1 − λ)·CE + λ·KL from soft targets to this head's classes. Each row has
//   k classes of its own, and the tail is the class of all others.
// Owners: a thread owns rows. Logits of the row's k classes are picked from its blocks, and hidden there, so
//   the running softmax and dx sum over the tail alone, and no small tail is a difference of large sums. At
//   the end dx = factor · ((q_tail − λ·p_tail) · dx / Σ + Σ_i (q_i − λ·p_i) · W[i] − (1 − λ) · W[target]).
// Cost: k comparisons of a row and block of 512 columns, and k rows of W at the end of each row.
// Assumes: the ids of a row differ; that they are within the vocabulary is checked below. Workspace: 4·k
//   bytes for each row that a thread holds, besides the shared one.
// Not done: ids sorted once, with one comparison a block: 2 µs of a row's 100 and more.
#include "../linear-cross-entropy/linear-cross-entropy.streamed.h"

namespace qdylora::QD_LEVEL {
namespace {

// What a picked logit becomes: its weight is 0. A capped one stays where the slope of the cap is finite.
float hiddenLogit(float cap) { return cap > 0.f ? -cap - 256.f : -1e38f; }

struct SoftClasses {
  Size k;
  In<std::int32_t> ids;        // [tokens][k]
  In<float> logProbabilities;  // [tokens][k]
  In<float> tailMass;          // [tokens]
  float distillation;          // λ
  float hidden;

  Size rowFloats() const { return k; }

  void see(float* z, const Block& block, Size token, float* picked) const {
    const std::int32_t* rowIds = ids.data + token * k;
    for (Size i = 0; i < k; i++) {
      const Size at = static_cast<Size>(rowIds[i]) - block.begin;  // wraps around below the block
      if (at >= block.columns) continue;
      picked[i] = z[at];
      z[at] = hidden;
    }
  }

  void finish(const Head& head, const HeadLoss& loss, const HeadRow& row, const float* picked) const {
    const Size t = row.token;
    const std::int32_t* rowIds = ids.data + t * k;
    const float* logP = logProbabilities.data + t * k;
    const bool hasTail = k < loss.vocabulary;
    const double lambda = static_cast<double>(distillation);
    // log Σ over all classes
    double most = hasTail ? static_cast<double>(row.largest) : static_cast<double>(picked[0]);
    for (Size i = 0; i < k; i++) most = larger(most, static_cast<double>(picked[i]));
    double sum = hasTail ? row.sum * __builtin_exp(static_cast<double>(row.largest) - most) : 0;
    for (Size i = 0; i < k; i++) sum += __builtin_exp(static_cast<double>(picked[i]) - most);
    const double logSum = most + __builtin_log(sum);
    const double pTail = static_cast<double>(tailMass.data[t]);
    const double logTail = static_cast<double>(row.largest) + __builtin_log(row.sum) - logSum;
    double divergence = hasTail && pTail > 0 ? pTail * (__builtin_log(pTail) - logTail) : 0;
    for (Size i = 0; i < k; i++) {
      const double log = static_cast<double>(logP[i]);
      const double p = __builtin_exp(log);
      if (p > 0) divergence += p * (log - static_cast<double>(picked[i]) + logSum);
    }
    const double crossEntropy = logSum - static_cast<double>(row.ofTarget);
    loss.tokenLosses.data[t] = static_cast<float>((1 - lambda) * crossEntropy + lambda * divergence);
    if (!loss.dx.data) return;
    const double factor = static_cast<double>(factorOf(t, loss.lossScale, loss.tokenWeights));
    float* dx = loss.dx.data + t * loss.hidden;
    const double ofTail = hasTail ? factor * (__builtin_exp(logTail) - lambda * pTail) / row.sum : 0;
    for (Size j = 0; j < loss.hidden; j++) dx[j] = static_cast<float>(ofTail) * row.dx[j];
    for (Size i = 0; i < k; i++) {
      const double q = __builtin_exp(static_cast<double>(picked[i]) - logSum);
      const double p = __builtin_exp(static_cast<double>(logP[i]));
      addRow(head, static_cast<Size>(rowIds[i]), factor * (q - lambda * p), picked[i], loss, dx);
    }
    addRow(head, static_cast<Size>(row.target), -factor * (1 - lambda), row.ofTarget, loss, dx);
  }

  // dx += gradient of a logit, through its cap, times its row of W.
  static void addRow(const Head& head, Size row, double gradient, float logit, const HeadLoss& loss,
                     float* dx) {
    const float scale = static_cast<float>(gradient) * slopeOfCap(logit, loss.softCap);
    const Size from = row * loss.hidden;
    if (head.weight.f32)
      addScaled(head.weight.f32 + from, scale, loss, dx);
    else
      addScaled(head.weight.bf16 + from, scale, loss, dx);
  }
  template <class T>
  static void addScaled(const T* w, float scale, const HeadLoss& loss, float* dx) {
    for (Size j = 0; j < loss.hidden; j += WIDTH) {
      const int lanes = static_cast<int>(smaller<Size>(WIDTH, loss.hidden - j));
      const F32x exact = loadFirst(w + j, lanes);
      const F32x value = loss.bf16 ? roundToBf16(exact) : exact;
      storeFirst(dx + j, fma(all(scale), value, loadFirst(dx + j, lanes)), lanes);
    }
  }
};

double linearDistillationScratch(Threads& threads, Size tokens, Size hidden, Size vocabulary, Size k,
                                 bool bf16) {
  return headScratch(threads, tokens, hidden, vocabulary, SoftClasses{k, {}, {}, {}, 0, 0}.rowFloats(), bf16);
}

Status linearDistillation(Threads& threads, In<float> x, Dense weight, In<std::int32_t> targets,
                          OptionalIn<float> tokenWeights, In<std::int32_t> ids, In<float> logProbabilities,
                          In<float> tailMass, Out<float> loss, Out<float> tokenLosses, OptionalOut<float> dx,
                          Out<float> scratch, Size tokens, Size hidden, Size vocabulary, Size k,
                          double lossScale, float distillation, float softCap, bool bf16) {
  if (k < 1 || k > vocabulary) return unsupported("k must be within 1 and the vocabulary");
  QD_NEED(targets, tokens);
  QD_NEED(ids, times(tokens, k));
  QD_NEED(logProbabilities, times(tokens, k));
  QD_NEED(tailMass, tokens);
  for (Size i = 0; i < tokens * k; i++) {
    const bool counts = targets.data[i / k] != IGNORED_TARGET;
    if (counts && (ids.data[i] < 0 || static_cast<Size>(ids.data[i]) >= vocabulary))
      return badData("ids of soft targets must be within the vocabulary", i / k, ids.data[i]);
  }
  return streamHead(threads,
                    {x, weight, targets, tokenWeights, loss, tokenLosses, dx, scratch, tokens, hidden,
                     vocabulary, lossScale, softCap, bf16},
                    SoftClasses{k, ids, logProbabilities, tailMass, distillation, hiddenLogit(softCap)});
}

}  // namespace
QD_EXPORT(linearDistillationScratch)
QD_EXPORT(linearDistillation)
}  // namespace qdylora::QD_LEVEL
