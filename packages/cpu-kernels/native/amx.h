#pragma once
#include "simd.h"

// Tiles of Intel AMX: eight registers of 16 rows of 64 bytes. A product of bf16 numbers takes 16 rows × 32
// steps of A in row-major order and 16 words × 16 columns of B, a word being two steps, and adds to 16 × 16
// floats of C.
namespace qdylora::QD_LEVEL {

// Rows of a tile of A, words of its depth.
constexpr Size AMX_ROWS = 16;
constexpr Size AMX_WORDS = 16;

#if defined(__AMX_BF16__)
#define QD_TILES
// A thread's tiles are its own: they are set up when it begins a product and given back when it ends, so that
// a switch of threads has nothing to save.
class TileRegisters {
 public:
  QD_INLINE TileRegisters() {
    struct {
      std::uint8_t palette, startRow, reserved[14];
      std::uint16_t rowBytes[16];
      std::uint8_t rows[16];
    } setting = {};
    setting.palette = 1;
    for (int i = 0; i < 8; i++) {
      setting.rowBytes[i] = 64;
      setting.rows[i] = 16;
    }
    asm volatile("" : : "m"(setting));
    _tile_loadconfig(&setting);
  }
  QD_INLINE ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
};

// The intrinsics do not say that they read or write memory.
#define QD_TILE_FENCE asm volatile("" ::: "memory")
#define QD_TILE(name) _tile_##name
#elif defined(QD_EMULATES_TILES)
#define QD_TILES
// The same in memory, for tests on machines without tiles. What would be a fault there is one here: tiles
// that no TileRegisters has set up.
struct EmulatedTiles {
  bool areSetUp;
  float tile[8][AMX_ROWS][AMX_WORDS];
};
inline thread_local EmulatedTiles emulated{};

class TileRegisters {
 public:
  QD_INLINE TileRegisters() { emulated.areSetUp = true; }
  QD_INLINE ~TileRegisters() { emulated.areSetUp = false; }
  TileRegisters(const TileRegisters&) = delete;
};

QD_INLINE float* emulatedRow(int tile, Size row) {
  if (!emulated.areSetUp) __builtin_trap();
  return emulated.tile[tile][row];
}
QD_INLINE void emulated_zero(int tile) {
  for (Size r = 0; r < AMX_ROWS; r++) store(emulatedRow(tile, r), F32x{});
}
QD_INLINE void emulated_loadd(int tile, const void* from, Size stride) {
  for (Size r = 0; r < AMX_ROWS; r++)
    __builtin_memcpy(emulatedRow(tile, r), static_cast<const char*>(from) + r * stride, 64);
}
QD_INLINE void emulated_stream_loadd(int tile, const void* from, Size stride) {
  emulated_loadd(tile, from, stride);
}
QD_INLINE void emulated_stored(int tile, void* to, Size stride) {
  for (Size r = 0; r < AMX_ROWS; r++)
    __builtin_memcpy(static_cast<char*>(to) + r * stride, emulatedRow(tile, r), 64);
}
// The even and the odd steps of the depth are summed apart, then together, then added to C (Intel's manual,
// TDPBF16PS).
QD_INLINE void emulated_dpbf16ps(int c, int a, int b) {
  for (Size r = 0; r < AMX_ROWS; r++) {
    F32x even{};
    F32x odd{};
    for (Size k = 0; k < AMX_WORDS; k++) {
      const I32x left = allI32(__builtin_bit_cast(std::int32_t, emulatedRow(a, r)[k]));
      const I32x right = loadI32(emulatedRow(b, k));
      even = fma(asF32(left << 16), asF32(right << 16), even);
      odd = fma(asF32(left & -65536), asF32(right & -65536), odd);
    }
    store(emulatedRow(c, r), load(emulatedRow(c, r)) + (even + odd));
  }
}
#define QD_TILE_FENCE
#define QD_TILE(name) emulated_##name
#endif

#if defined(QD_TILES)
constexpr bool AMX_TILES = true;

// One or two tiles of an operand; distances in bytes.
struct TileOperand {
  const void* at;
  Size row;     // from one row to the next
  Size second;  // from the first tile to the second
  Size step;    // to the next 32 steps of the depth
};
QD_INLINE const char* bytesFrom(const void* at, Size bytes) { return static_cast<const char*>(at) + bytes; }

// Tiles 0 … 3 hold HIGH × WIDE sums by rows, 4 and 5 the left operand, 6 and 7 the right one.
template <int HIGH, int WIDE>
QD_INLINE void clearTiles() {
  QD_TILE(zero)(0);
  if (WIDE == 2) QD_TILE(zero)(1);
  if (HIGH == 2) QD_TILE(zero)(2);
  if (HIGH == 2 && WIDE == 2) QD_TILE(zero)(3);
}
// `below`: bytes between the rows 0 and 16, `row`: between two rows. All 0 repeats one row.
template <int HIGH, int WIDE>
QD_INLINE void loadTiles(const float* c, Size row, Size below) {
  QD_TILE(loadd)(0, c, row);
  if (WIDE == 2) QD_TILE(loadd)(1, c + 16, row);
  if (HIGH == 2) QD_TILE(loadd)(2, bytesFrom(c, below), row);
  if (HIGH == 2 && WIDE == 2) QD_TILE(loadd)(3, bytesFrom(c + 16, below), row);
}
template <int HIGH, int WIDE>
QD_INLINE void storeTiles(float* c, Size row) {
  char* low = reinterpret_cast<char*>(c) + AMX_ROWS * row;
  QD_TILE(stored)(0, c, row);
  if (WIDE == 2) QD_TILE(stored)(1, c + 16, row);
  if (HIGH == 2) QD_TILE(stored)(2, low, row);
  if (HIGH == 2 && WIDE == 2) QD_TILE(stored)(3, low + 64, row);
}
// A macro, since the intrinsics want the tile's number as it is written.
#define QD_LOAD_TILE(past, tile, at, row)   \
  do {                                      \
    if (past)                               \
      QD_TILE(stream_loadd)(tile, at, row); \
    else                                    \
      QD_TILE(loadd)(tile, at, row);        \
  } while (0)
// Which operand is read past the first level, so that the other one stays there.
enum class Stream { none, left, right };
// `words`: of the depth, a multiple of 16. `each` is called before every 32 steps.
// Loads are interleaved with the products that wait for them: one after the other took 6 cycles more of 70
// (Granite Rapids, 2026).
template <int HIGH, int WIDE, Stream STREAM, class Each>
QD_INLINE void addTileProducts(const TileOperand& left, const TileOperand& right, Size words,
                               const Each& each) {
  const char* a = bytesFrom(left.at, 0);
  const char* b = bytesFrom(right.at, 0);
  for (; words > 0; words -= AMX_WORDS, a += left.step, b += right.step) {
    each();
    QD_LOAD_TILE(STREAM == Stream::left, 4, a, left.row);
    QD_LOAD_TILE(STREAM == Stream::right, 6, b, right.row);
    QD_TILE(dpbf16ps)(0, 4, 6);
    if (HIGH == 2) {
      QD_LOAD_TILE(STREAM == Stream::left, 5, a + left.second, left.row);
      QD_TILE(dpbf16ps)(2, 5, 6);
    }
    if (WIDE == 2) {
      QD_LOAD_TILE(STREAM == Stream::right, 7, b + right.second, right.row);
      QD_TILE(dpbf16ps)(1, 4, 7);
      if (HIGH == 2) QD_TILE(dpbf16ps)(3, 5, 7);
    }
  }
}
#else
constexpr bool AMX_TILES = false;
class TileRegisters {};
#endif

}  // namespace qdylora::QD_LEVEL
