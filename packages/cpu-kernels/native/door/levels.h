#pragma once
#include "../kernel.h"

namespace qdylora {

// One instruction set that is compiled in, with its kernels.
struct Level {
  const char* name;
  const KernelEntry* const* kernels;
  int kernelCount;
};

// Written by scripts/write-level-sources.mjs; best last.
extern const Level LEVELS[];
extern const int LEVEL_COUNT;

// What this machine lacks for a level, as text ("AVX-512F, AVX-512BW"), or "" where it can run it.
// `text` has room for 256 characters.
void missingFeatures(const char* level, char* text);

}  // namespace qdylora
