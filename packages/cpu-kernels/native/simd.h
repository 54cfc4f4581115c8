#pragma once
// Everything that kernels use of vectors; only what the language has no word for is written per instruction
// set.
#include "simd/arithmetic.h"
#include "simd/bf16.h"
#include "simd/lanes.h"
#include "simd/past-caches.h"
#include "simd/share.h"
#include "simd/table16.h"
#include "simd/vectors.h"
