#pragma once
#include "../../native/attention/tiles.h"

// How the backward pass is cut into items. A segment's columns are cut into chunks of equal cost; each has
// sums of its own for dk and dv, which are added up in order afterwards. The cuts depend on sizes alone.
namespace qdylora::QD_LEVEL {
namespace {

constexpr int COLUMNS = 64;
// Chunks of one segment over all kv heads at most, and tiles in a chunk at least: enough items for many
// threads, few enough that adding them up costs little.
constexpr int CHUNKS = 32;
constexpr int TILES_PER_CHUNK = 8;

// One piece of work: a chunk of the columns of one (segment, kv head), against the keys that they see.
struct Item {
  Segment s;
  Size kvHead;
  int tile0, tile1;   // tiles [tile0, tile1) of columns
  int from, to;       // keys [from, to)
  int chunk, chunks;  // which chunk, of how many
  Size partial;       // where its dk and dv begin among the partial sums, in floats
};
// Rows of an item's dk and dv.
int itemRows(const Item& item) { return roundUp(item.to - item.from, KEY_UNIT); }
// An item's dk and dv: [itemRows][paddedDim], from its first key on.
struct KeySums {
  float* dk;
  float* dv;
};
KeySums keySumsAt(float* at, const AttentionShape& shape, const Item& item) {
  return {at, at + static_cast<Size>(itemRows(item)) * shape.paddedDim()};
}
Size keySumsFloats(const AttentionShape& shape, const Item& item) {
  return 2 * static_cast<Size>(itemRows(item)) * shape.paddedDim();
}

inline double tileCost(const AttentionShape& shape, const Segment& s, int tile) {
  return 8 + keysSeen(shape, s, tile, COLUMNS);
}

inline int chunksOf(const AttentionShape& shape, int tiles) {
  const int mostChunks = larger(1, CHUNKS / static_cast<int>(shape.kvHeads));
  return larger(1, smaller(tiles / TILES_PER_CHUNK, mostChunks));
}

// The item of the tiles [tile0, tile1), which see a range of keys.
inline Item itemOf(const AttentionShape& shape, const Segment& s, Size kvHead, int tile0, int tile1) {
  Item item{s, kvHead, tile0, tile1, s.k0, s.k0, 0, 1, 0};
  if (tile1 == tile0) return item;
  const ColumnTile first = columnsOf(shape, s, kvHead, tile0, COLUMNS, nullptr);
  const ColumnTile last = columnsOf(shape, s, kvHead, tile1 - 1, COLUMNS, nullptr);
  item.from = firstKeyTile(s, first.firstKey());
  item.to = larger(item.from, last.lastKey() + 1);
  return item;
}

// Calls use(item) for the chunks of one (segment, kv head), which cost nearly the same. `partial`: where the
// next item's sums begin.
template <class Use>
void walkChunks(const AttentionShape& shape, const Segment& s, Size kvHead, Size& partial, const Use& use) {
  const int tiles = shape.tiles(s, COLUMNS);
  const int chunks = chunksOf(shape, tiles);
  double total = 0;
  for (int tile = 0; tile < tiles; tile++) total += tileCost(shape, s, tile);
  double before = 0;
  int tile = 0;
  for (int chunk = 0; chunk < chunks; chunk++) {
    const int tile0 = tile;
    const bool isLast = chunk + 1 == chunks;
    while (tile < tiles && (isLast || before + tileCost(shape, s, tile) / 2 < total * (chunk + 1) / chunks))
      before += tileCost(shape, s, tile++);
    Item item = itemOf(shape, s, kvHead, tile0, tile);
    item.chunk = chunk;
    item.chunks = chunks;
    item.partial = partial;
    partial += keySumsFloats(shape, item);
    use(item);
  }
}

// Visits a thread's share of the items.
template <class Visit>
void visitItems(const AttentionShape& shape, int parts, int part, const Visit& visit) {
  const auto walk = [&](const auto& use) {
    Size partial = 0;
    for (Size seg = 0; seg + 1 < shape.segments; seg++) {
      const Segment s = shape.segment(seg);
      for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++) walkChunks(shape, s, kvHead, partial, use);
    }
  };
  const auto cost = [&](const Item& item) {
    double sum = 1;
    for (int tile = item.tile0; tile < item.tile1; tile++) sum += tileCost(shape, item.s, tile);
    return sum;
  };
  visitShare<Item>(parts, part, walk, cost, visit);
}

// Floats of the sums of all items.
inline Size allPartials(const AttentionShape& shape) {
  Size floats = 0;
  visitItems(shape, 1, 0, [&](const Item& item) { floats = item.partial + keySumsFloats(shape, item); });
  return floats;
}

}  // namespace
}  // namespace qdylora::QD_LEVEL
