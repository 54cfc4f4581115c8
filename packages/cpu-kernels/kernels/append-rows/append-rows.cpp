// Computes: y[end − tokens + i] = x[i] for the rows i of x: [tokens, width], the newest of a key-value cache
//   y: [rows, width]; `end` is the last of `segments`.
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: 8 bytes per element: bound by memory bandwidth.
// Assumes: x and y do not overlap. Lengths and the place are checked below.
// Not done: non-temporal stores, because attention reads the rows at once.
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

Status appendRows(Threads& threads, In<float> x, In<std::int32_t> segments, Out<float> y, Size tokens,
                  Size entries, Size rows, Size width) {
  QD_NEED(x, times(tokens, width));
  QD_NEED(segments, entries);
  QD_NEED(y, times(rows, width));
  if (entries == 0) return unsupported("segments must have at least one entry");
  const std::int64_t end = segments.data[entries - 1];
  const std::int64_t from = end - static_cast<std::int64_t>(tokens);
  if (from < 0 || end > static_cast<std::int64_t>(rows))
    return badData("the rows must end within y", entries - 1, segments.data[entries - 1]);
  const float* source = x.data;
  float* target = y.data + static_cast<Size>(from) * width;
  elementwise(threads, tokens * width,
              [=](Size i, int n) { storeFirst(target + i, loadFirst(source + i, n), n); });
  return ok();
}

}  // namespace
QD_EXPORT(appendRows)
}  // namespace qdylora::QD_LEVEL
