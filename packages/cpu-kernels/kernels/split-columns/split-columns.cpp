// Computes: the parts of a fused projection, copied apart group by group; join-columns (the gradient) puts
//   them together again.
// Owners: a thread owns whole groups, tokens · groups of them. The parts of a group are copied one after the
//   other, a vector at a time.
// Cost: 8 bytes per element, no operations: bound by memory.
// Assumes: contiguous arrays that do not overlap; lengths are checked below. A part that is left out of the
//   join is written as zeros.
// Not done: attention that reads the fused rows with a stride: its kernels would need one layout per family.
#include "../../native/simd.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr double GRAIN = 32768;

Status splitColumns(Threads& threads, In<float> x, Out<float> first, Out<float> second,
                    OptionalOut<float> third, Size groups, Size a, Size b, Size c) {
  const Size width = a + b + c;
  QD_NEED(x, times(groups, width));
  QD_NEED(first, times(groups, a));
  QD_NEED(second, times(groups, b));
  QD_NEED_IF_GIVEN(third, times(groups, c));
  if (c > 0 && !third.data) return unsupported("a third width needs a third output");
  if (width == 0) return ok();  // nothing bounds the number of groups
  const int parts = threads.partsFor(static_cast<double>(groups * width), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(groups, parts, part);
    for (Size g = range.begin; g < range.end; g++) {
      const float* from = x.data + g * width;
      copyFloats(from, first.data + g * a, a);
      copyFloats(from + a, second.data + g * b, b);
      if (c > 0) copyFloats(from + a + b, third.data + g * c, c);
    }
  });
  return ok();
}

QD_INLINE void copyOrClear(const float* from, float* to, Size n) {
  if (from) return copyFloats(from, to, n);
  for (Size i = 0; i < n; i++) to[i] = 0.f;
}

Status joinColumns(Threads& threads, OptionalIn<float> first, OptionalIn<float> second,
                   OptionalIn<float> third, Out<float> x, Size groups, Size a, Size b, Size c) {
  const Size width = a + b + c;
  QD_NEED_IF_GIVEN(first, times(groups, a));
  QD_NEED_IF_GIVEN(second, times(groups, b));
  QD_NEED_IF_GIVEN(third, times(groups, c));
  QD_NEED(x, times(groups, width));
  if (width == 0) return ok();
  const int parts = threads.partsFor(static_cast<double>(groups * width), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(groups, parts, part);
    for (Size g = range.begin; g < range.end; g++) {
      float* to = x.data + g * width;
      copyOrClear(first.data ? first.data + g * a : nullptr, to, a);
      copyOrClear(second.data ? second.data + g * b : nullptr, to + a, b);
      copyOrClear(third.data ? third.data + g * c : nullptr, to + a + b, c);
    }
  });
  return ok();
}

}  // namespace
QD_EXPORT(splitColumns)
QD_EXPORT(joinColumns)
}  // namespace qdylora::QD_LEVEL
