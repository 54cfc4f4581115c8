// The nearest of 256 rising levels.
#pragma once
#include "element.h"

constexpr int LEVELS_OF_BYTE = 256;

// The float32 middle between two levels, rounded once.
__device__ inline float middleOf(float a, float b) {
  return static_cast<float>((static_cast<double>(a) + static_cast<double>(b)) / 2.);
}

// The number of limits between levels that x is above: the code of the level nearest to x, on a limit the
// lower one.
__device__ inline int nearestLevel(const float (&levels)[LEVELS_OF_BYTE], float x) {
  int place = 0;
  for (int half = LEVELS_OF_BYTE / 2; half > 0; half /= 2)
    if (x > middleOf(levels[place + half - 1], levels[place + half])) place += half;
  return place;
}
