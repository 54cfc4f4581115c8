#pragma once
#include "../simd.h"

// Tiles of Intel AMX: 16 rows of 64 bytes in eight registers of their own. A product of bf16 numbers takes 16 rows × 32 steps of A as they lie and 16 words × 16 columns of B, a word
// being two steps, and adds to 16 × 16 floats of C.
namespace qdylora::QD_LEVEL {

#if defined(__AMX_BF16__)
constexpr bool AMX_TILES = true;

// A thread's tiles are its own: they are set up when it begins a product and given back when it ends, so that a switch of threads has nothing to save.
class TileRegisters {
 public:
  QD_INLINE TileRegisters() {
    struct { std::uint8_t palette, startRow, reserved[14]; std::uint16_t rowBytes[16]; std::uint8_t rows[16]; } setting = {};
    setting.palette = 1;
    for (int i = 0; i < 8; i++) { setting.rowBytes[i] = 64; setting.rows[i] = 16; }
    asm volatile("" : : "m"(setting));
    _tile_loadconfig(&setting);
  }
  QD_INLINE ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
};

// The intrinsics do not say that they read or write memory.
#define QD_TILE_FENCE asm volatile("" ::: "memory")
#else
constexpr bool AMX_TILES = false;
class TileRegisters {};
#endif

// Rows of a tile of A, words of its depth.
constexpr Size AMX_ROWS = 16, AMX_WORDS = 16;

}  // namespace qdylora::QD_LEVEL
