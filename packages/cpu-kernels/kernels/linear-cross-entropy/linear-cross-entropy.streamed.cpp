// Computes: head and loss in one, for a head that is not trained (linear-cross-entropy.streamed.h).
// Owners, cost, assumptions, dropped: there.
#include "linear-cross-entropy.streamed.h"

namespace qdylora::QD_LEVEL {
namespace {

double linearCrossEntropyStreamedScratch(Threads& threads, Size tokens, Size hidden, Size vocabulary,
                                         bool bf16) {
  return headScratch(threads, tokens, hidden, vocabulary, TargetClass().rowFloats(), bf16);
}

Status linearCrossEntropyStreamed(Threads& threads, In<float> x, Dense weight, In<std::int32_t> targets,
                                  OptionalIn<float> tokenWeights, Out<float> loss, Out<float> tokenLosses,
                                  OptionalOut<float> dx, Out<float> scratch, Size tokens, Size hidden,
                                  Size vocabulary, double lossScale, float softCap, bool bf16) {
  return streamHead(threads,
                    {x, weight, targets, tokenWeights, loss, tokenLosses, dx, scratch, tokens, hidden,
                     vocabulary, lossScale, softCap, bf16},
                    TargetClass());
}

}  // namespace
QD_EXPORT(linearCrossEntropyStreamedScratch)
QD_EXPORT(linearCrossEntropyStreamed)
}  // namespace qdylora::QD_LEVEL
