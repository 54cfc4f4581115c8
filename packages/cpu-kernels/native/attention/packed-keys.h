#pragma once
#include "words.h"

// Keys and values as operands of attention's products: floats, read in place, or pairs of bf16 numbers,
// packed once per call.
namespace qdylora::QD_LEVEL {

// Keys or values of every kv head, rounded to bf16 pairs. Rows past a segment's end, up to whole groups: 0.
struct PackedKeys {
  std::int32_t* rows;      // pairs along headDim: [kvHeads][packedKeys][rowWords]
  std::int32_t* keyPairs;  // pairs of keys: [kvHeads][packedKeys / 2][paddedDim], or, for tile registers,
                           // [kvHeads][packedKeys / 64][paddedDim][32]
};

inline Size packedRowsWords(const AttentionShape& shape) {
  return shape.kvHeads * shape.packedKeys() * rowWords<std::int32_t>(shape);
}
inline Size packedPairsWords(const AttentionShape& shape) {
  return shape.kvHeads * shape.packedKeys() / 2 * shape.paddedDim();
}

// Keys [from, to), whole tiles, of a segment of `keys`. A word is a pair of keys; words are transposed in
// registers, so that those of one number of the head are side by side.
inline void packKeyTiles(std::int32_t* out, Numbers x, const AttentionShape& shape, Size keys, Size from,
                         Size to) {
  const Size padded = shape.paddedDim();
  const auto read = [&](Size key, Size d) {
    return key < keys ? loadUpTo(x + key * shape.keyStride(), d, shape.headDim) : F32x{};
  };
  for (Size key = from; key < to; key += 2 * WIDTH) {
    std::int32_t* tile = out + key / KEY_TILE * KEY_TILE / 2 * padded + key % KEY_TILE / 2;
    for (Size d = 0; d < padded; d += WIDTH) {
      I32x square[WIDTH];
#pragma GCC unroll 16
      for (Size i = 0; i < WIDTH; i++) square[i] = zipToBf16(read(key + 2 * i, d), read(key + 2 * i + 1, d));
      transpose(square);
#pragma GCC unroll 16
      for (Size i = 0; i < WIDTH; i++) storeI32(tile + (d + i) * (KEY_TILE / 2), square[i]);
    }
  }
}

// Packs one (segment, kv head)'s rows [from, to), counted from the segment's first key in whole groups;
// either array may be nullptr.
inline void packKeyRange(const PackedKeys& out, Numbers x, const AttentionShape& shape, const Segment& s,
                         Size kvHead, Size from, Size to) {
  const Size words = rowWords<std::int32_t>(shape);
  const Size padded = shape.paddedDim();
  const Size first = kvHead * shape.packedKeys() + s.packedAt;
  const Size keys = static_cast<Size>(s.keys());
  for (Size key = from; key < to; key += 2) {
    Numbers row[2];
    Size length[2];
    for (Size i = 0; i < 2; i++) {
      length[i] = key + i < keys ? shape.headDim : 0;
      row[i] = length[i]
                   ? x + (static_cast<Size>(s.k0) + key + i) * shape.keyStride() + kvHead * shape.headDim
                   : x;
    }
    for (Size i = 0; out.rows && i < 2; i++) {
      for (Size word = 0; word < words; word += WIDTH)
        storeI32(out.rows + (first + key + i) * words + word,
                 wordsOfRow<std::int32_t>(row[i], word, length[i]));
    }
    for (Size d = 0; out.keyPairs && !AMX_TILES && d < padded; d += WIDTH)
      storeI32(out.keyPairs + (first + key) / 2 * padded + d,
               zipToBf16(loadUpTo(row[0], d, length[0]), loadUpTo(row[1], d, length[1])));
  }
  if (out.keyPairs && AMX_TILES)
    packKeyTiles(out.keyPairs + first / 2 * padded,
                 x + static_cast<Size>(s.k0) * shape.keyStride() + kvHead * shape.headDim, shape, keys, from,
                 to);
}

// Rounds a thread's share of a segment's keys and values, in the order of memory.
inline void packKeysAndValues(const PackedKeys& packedK, Numbers k, const PackedKeys& packedV, Numbers v,
                              const AttentionShape& shape, const Segment& s, int parts, int part) {
  const Range share = shareOf(static_cast<Size>(roundUp(s.keys(), KEY_GROUP)), parts, part, KEY_GROUP);
  for (Size key = share.begin; key < share.end; key += KEY_GROUP) {
    for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++)
      packKeyRange(packedK, k, shape, s, kvHead, key, key + KEY_GROUP);
    for (Size kvHead = 0; kvHead < shape.kvHeads; kvHead++)
      packKeyRange(packedV, v, shape, s, kvHead, key, key + KEY_GROUP);
  }
}

// One (segment, kv head)'s keys or values as left operands: row = key, depth = headDim; and row = headDim,
// depth = keys.
template <class Word>
struct KeySide {
  TileLeft<Word> alongHead;  // rows are keys
  TileLeft<Word> alongKeys;  // rows are numbers of a head
};
template <class Word>
KeySide<Word> keySide(Numbers x, const PackedKeys& packed, const AttentionShape& shape, const Segment& s,
                      Size kvHead, int key) {
  if constexpr (IS_PAIR<Word>) {
    const Size row = kvHead * shape.packedKeys() + s.packedAt + static_cast<Size>(key - s.k0);
    const Size words = rowWords<Word>(shape);
    const Size padded = shape.paddedDim();
    if (AMX_TILES)
      return {{packed.rows ? packed.rows + row * words : nullptr, words, 1},
              {packed.keyPairs ? packed.keyPairs + row / 2 * padded : nullptr, KEY_TILE / 2, 1}};
    return {{packed.rows ? packed.rows + row * words : nullptr, words, 1},
            {packed.keyPairs ? packed.keyPairs + row / 2 * padded : nullptr, 1, padded}};
  } else {
    const float* at = x.f32 + static_cast<Size>(key) * shape.keyStride() + kvHead * shape.headDim;
    return {{at, shape.keyStride(), 1}, {at, 1, shape.keyStride()}};
  }
}

}  // namespace qdylora::QD_LEVEL
