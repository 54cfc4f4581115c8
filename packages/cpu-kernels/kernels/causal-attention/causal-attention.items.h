#pragma once
#include "../../native/attention/decode.h"
#include "causal-attention.softmax.h"

// How the forward pass is cut into items, and where each item leaves its result. A tile of columns over all
// of its keys is an item. A segment with a single tile of columns, or with few columns, is cut along its keys
// instead: the results of such chunks are partial, and are joined in order afterwards.
namespace qdylora::QD_LEVEL {
namespace {

// Keys of one item where a segment has a single tile of columns.
constexpr int CHUNK = 8 * KEY_TILE;

int chunksOf(const AttentionShape& shape, const Segment& s) {
  if (hasFewColumns(shape, s)) return shape.columns(s) > 0 ? (s.keys() + FEW_KEYS - 1) / FEW_KEYS : 0;
  return shape.tiles(s, COLUMNS) == 1 && s.keys() > 2 * CHUNK ? (s.keys() + CHUNK - 1) / CHUNK : 1;
}

// Floats of one partial result: of a tile of columns and one kv head, or of few columns and all kv heads.
Size partialFloats(const AttentionShape& shape, const Segment& s) {
  return hasFewColumns(shape, s) ? FewPartials::floats(shape, s) : softmaxFloats(shape);
}
// Floats of all partial results of a segment.
Size partialsOf(const AttentionShape& shape, const Segment& s) {
  const Size chunks = static_cast<Size>(chunksOf(shape, s));
  if (hasFewColumns(shape, s)) return chunks * partialFloats(shape, s);
  return chunks > 1 ? chunks * shape.kvHeads * partialFloats(shape, s) : 0;
}

// Floats of the partial results of all segments, the last one extended to the end of k: while a cache fills
// up, the scratch stays the same.
Size allPartials(const AttentionShape& shape) {
  Size floats = 0;
  for (Size s = 0; s + 1 < shape.segments; s++) {
    Segment segment = shape.segment(s);
    if (s + 2 == shape.segments) segment.k1 = static_cast<int>(shape.keys);
    floats += partialsOf(shape, segment);
  }
  return floats;
}

// One piece of work: a tile of columns of one kv head, or the few columns of all kv heads.
struct Item {
  Segment s;
  Size kvHead;             // kvHeads: few columns, of all kv heads
  int tile;                // of columns
  int from, to;            // keys [from, to)
  int chunk, chunks;       // which chunk of the segment's keys that is, of how many
  std::ptrdiff_t partial;  // where its result goes among the partial results; −1 where it is the whole

  bool isFew(const AttentionShape& shape) const { return kvHead == shape.kvHeads; }
  bool isPartial() const { return partial >= 0; }
};

// Visits a thread's share of the items.
template <class Visit>
void visitItems(const AttentionShape& shape, int parts, int part, const Visit& visit) {
  const auto walk = [&](const auto& use) {
    Size partial = 0;
    for (Size seg = 0; seg + 1 < shape.segments; seg++) {
      const Segment s = shape.segment(seg);
      const bool few = hasFewColumns(shape, s);
      const int tiles = few ? 1 : shape.tiles(s, COLUMNS);
      const int chunks = chunksOf(shape, s);
      const int step = few ? FEW_KEYS : CHUNK;
      const bool isPart = few || chunks > 1;
      const Size firstHead = few ? shape.kvHeads : 0;
      const Size endHead = few ? shape.kvHeads + 1 : shape.kvHeads;
      for (Size kvHead = firstHead; kvHead < endHead; kvHead++) {
        for (int i = 0; i < tiles * chunks; i++) {
          const int chunk = i % chunks;
          const int from = s.k0 + chunk * step;
          const int to = isPart ? smaller(from + step, s.k1) : s.k1;
          const std::ptrdiff_t place = isPart ? static_cast<std::ptrdiff_t>(partial) : -1;
          use(Item{s, kvHead, i / chunks, from, to, chunk, chunks, place});
          if (isPart) partial += partialFloats(shape, s);
        }
      }
    }
  };
  const auto cost = [&](const Item& item) {
    const double keys = item.to - item.from;
    if (!item.isFew(shape)) return 16 + smaller(keysSeen(shape, item.s, item.tile, COLUMNS), keys);
    const double keysOfFew = fewKeys(shape, item.s, item.from, item.to);
    return 16 + keysOfFew * static_cast<double>(shape.kvHeads);
  };
  visitShare<Item>(parts, part, walk, cost, visit);
}

}  // namespace
}  // namespace qdylora::QD_LEVEL
