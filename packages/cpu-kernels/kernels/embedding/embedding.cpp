// Computes: y[t] = weight[ids[t]]; gradient dWeight[ids[t]] += dy[t] in the order of the tokens.
// Owners: forward, a thread owns tokens. Backward, a thread owns columns of the table and walks all tokens,
//   so that each sum has one writer and the order of the tokens.
// Cost: forward 8 bytes per element (6 from bf16), backward 12: bound by memory.
// Assumes: nothing. Ids outside the table are refused here; the binding has refused them already, except in a
//   replayed call.
// Not done: backward by tokens with a lock per row: its order would depend on the threads.
#include "../../native/elementwise.h"
#include "../../native/rows.h"

namespace qdylora::QD_LEVEL {
namespace {

Status checkIds(In<std::int32_t> ids, Size tokens, Size rows) {
  for (Size t = 0; t < tokens; t++)
    if (ids.data[t] < 0 || static_cast<Size>(ids.data[t]) >= rows)
      return badData("ids must be within the table", t, ids.data[t]);
  return ok();
}

Status embedding(Threads& threads, Dense weight, In<std::int32_t> ids, Out<float> y, Size rows, Size tokens,
                 Size hidden) {
  QD_NEED(weight, times(rows, hidden));
  QD_NEED(ids, tokens);
  QD_NEED(y, times(tokens, hidden));
  if (const Status s = checkIds(ids, tokens, rows); s.code != Status::OK) return s;
  const Outgoing<float> out(y.data, tokens * hidden, hidden);
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), ELEMENTWISE_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(tokens, parts, part);
    for (Size t = range.begin; t < range.end; t++) {
      const Size row = static_cast<Size>(ids.data[t]) * hidden;
      alongRow(hidden, [&](Size i, int n) {
        out.put(t * hidden + i,
                weight.f32 ? loadFirst(weight.f32 + row + i, n) : loadFirst(weight.bf16 + row + i, n), n);
      });
    }
    streamFence();
  });
  return ok();
}

Status embeddingBackward(Threads& threads, In<std::int32_t> ids, In<float> dy, Out<float> dWeight, Size rows,
                         Size tokens, Size hidden) {
  QD_NEED(ids, tokens);
  QD_NEED(dy, times(tokens, hidden));
  QD_NEED(dWeight, times(rows, hidden));
  if (const Status s = checkIds(ids, tokens, rows); s.code != Status::OK) return s;
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), ELEMENTWISE_GRAIN);
  threads.run(parts, [&](int part) {
    const Range columns = shareOf(hidden, parts, part, 16);
    for (Size t = 0; t < tokens; t++) {
      float* into = dWeight.data + static_cast<Size>(ids.data[t]) * hidden;
      const float* from = dy.data + t * hidden;
      Size j = columns.begin;
      for (; j + WIDTH <= columns.end; j += WIDTH) store(into + j, load(into + j) + load(from + j));
      for (; j < columns.end; j++) into[j] += from[j];
    }
  });
  return ok();
}

}  // namespace
QD_EXPORT(embedding)
QD_EXPORT(embeddingBackward)
}  // namespace qdylora::QD_LEVEL
