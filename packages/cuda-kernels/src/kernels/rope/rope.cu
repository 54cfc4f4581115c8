// Computes: rope: in every head, entries p and p + pairs turn by the angle of (token, p): a·c − b·s, b·c +
//   a·s; the rest passes. rope-table: cos and sin of position · frequency, times scale.
// Owners: rope: a block owns a token, a thread the pairs and the passing entries j, j + threads, …;
//   rope-table: a thread owns one pair of one token.
// Cost: rope moves 8 bytes per element (4 of two bytes) and 8·pairs per token of tables: bound by the
//   bandwidth of memory. The table costs one sincospi in float64 per pair, once per batch for all layers.
// Assumes: contiguous rows of whole heads, 2·pairs ≤ headDim (runOp checks). y may be the array of x: no
//   other thread reads what a thread writes.
// Dropped: sincos in float64: its reduction of large angles calls a slow path; sincospi needs none. The
//   angle in half turns is kept as a sum of two float64, so that position 1,000,000 costs no accuracy. Not
//   measured on a device.
#include "element.h"

namespace {

template <class T>
__device__ void rope(const T* x, const float* cosines, const float* sines, T* y, int heads, int headDim,
                     int pairs, float sign) {
  const Size token = blockIdx.x;
  const int itemsOfHead = headDim - pairs;
  for (int item = threadIdx.x; item < heads * itemsOfHead; item += blockDim.x) {
    const int head = item / itemsOfHead;
    const int p = item % itemsOfHead;
    const Size start = (token * heads + head) * headDim;
    if (p >= pairs) {
      y[start + pairs + p] = x[start + pairs + p];
      continue;
    }
    const float c = cosines[token * pairs + p];
    const float s = sign * sines[token * pairs + p];
    const float a = toFloat(x[start + p]);
    const float b = toFloat(x[start + p + pairs]);
    put(y[start + p], a * c - b * s);
    put(y[start + p + pairs], b * c + a * s);
  }
}

constexpr double INVERSE_PI = 0x1.45f306dc9c883p-2;
constexpr double INVERSE_PI_REST = -0x1.6b01ec5417056p-56;  // 1/π − INVERSE_PI

}  // namespace

#define QD_ROPE(NAME, T)                                                                                 \
  extern "C" __global__ void NAME(const T* x, const float* cosines, const float* sines, T* y, int heads, \
                                  int headDim, int pairs, float sign) {                                  \
    rope(x, cosines, sines, y, heads, headDim, pairs, sign);                                             \
  }
QD_FOR_ELEMENTS(QD_ROPE, rope)

extern "C" __global__ void ropeTable(const int* positions, const float* inverseFrequencies, float* cosines,
                                     float* sines, Size n, int pairs, double scale) {
  const Size i = static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const double angle =
      static_cast<double>(positions[i / pairs]) * static_cast<double>(inverseFrequencies[i % pairs]);
  const double halfTurns = angle * INVERSE_PI;
  const double rest = fma(angle, INVERSE_PI, -halfTurns) + angle * INVERSE_PI_REST;
  double sine, cosine;
  sincospi(halfTurns - 2. * rint(halfTurns / 2.) + rest, &sine, &cosine);
  cosines[i] = static_cast<float>(cosine * scale);
  sines[i] = static_cast<float>(sine * scale);
}
