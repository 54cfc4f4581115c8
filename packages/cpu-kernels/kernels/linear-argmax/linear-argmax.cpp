// Computes: the row of W: [out, in] with the greatest product x·w, and that product: the head of a model that
//   generates the likeliest token. With codes (8-bit integers and a scale per row, quantize-rows.cpp) the
//   products of the codes come first. Each is off by at most a bound that follows from the row's scale and
//   Σ|x|, so only rows whose upper bound reaches the greatest lower bound can win (5 of 49,152 in the middle,
//   at most 56, in a text of SmolLM2-135M). Their products are computed from W itself; the answer is the one
//   without codes, bit for bit.
// Owners: a thread owns a range of rows.
// Cost: one byte read per weight with codes, two or four without: bound by memory. 3 instructions for WIDTH
//   weights.
// Assumes: nothing about values: rows whose bound is not a number are all computed from W. Scratch: x of each
//   thread, the products of codes, the best of each thread.
// Not done: x in 16-bit integers as well: half the instructions, but another error to bound, and memory is
//   the limit.
#include "../../native/gemm/blocking.h"
#include "../../native/simd.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr int CHAINS = 4;
constexpr double GRAIN = 262144;  // weights a thread
constexpr Size AHEAD = 4096;
constexpr Size LINE = 64;

// The first n lanes.
QD_INLINE F32x loadCodes(const std::uint8_t* p, int n) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  return (F32x)_mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(firstLanes(static_cast<Size>(n)), p)));
#else
  I32x v{};
  if (n == WIDTH)
    v = loadBytes(p);
  else
    for (int i = 0; i < n; i++) v[i] = p[i];
  return toF32((v ^ 128) - 128);
#endif
}

struct Codes {
  const std::uint8_t* data;
  QD_INLINE F32x at(Size i, int n) const { return loadCodes(data + i, n); }
  QD_INLINE const void* address(Size i) const { return data + i; }
};
// W itself; a float32 is rounded to bf16 where the product is of bf16 numbers.
template <class T, bool ROUNDS>
struct Exact {
  const T* data;
  QD_INLINE F32x at(Size i, int n) const {
    const F32x w = loadFirst(data + i, n);
    return ROUNDS ? roundToBf16(w) : w;
  }
  QD_INLINE const void* address(Size i) const { return data + i; }
};

// Σ x·w over a row that begins at element `from`.
template <class W>
QD_INLINE float dot(const float* x, const W& w, Size from, Size in) {
  constexpr Size STEP = CHAINS * WIDTH;
  F32x sums[CHAINS] = {};
  Size i = 0;
  for (; i + STEP <= in; i += STEP) {
    const char* first = static_cast<const char*>(w.address(from + i));
    for (const char* line = first; line < static_cast<const char*>(w.address(from + i + STEP)); line += LINE)
      __builtin_prefetch(line + AHEAD);
#pragma GCC unroll 4
    for (Size c = 0; c < CHAINS; c++)
      sums[c] = fma(load(x + i + c * WIDTH), w.at(from + i + c * WIDTH, WIDTH), sums[c]);
  }
  for (; i < in; i += WIDTH) {
    const int n = static_cast<int>(smaller<Size>(WIDTH, in - i));
    sums[0] = fma(loadFirst(x + i, n), w.at(from + i, n), sums[0]);
  }
  return sumOf((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// The greatest product so far; row NONE before the first. NaN is never greater, and gives way to any number.
struct Best {
  static constexpr Size NONE = ~Size{0};
  Size row = NONE;
  float product = 0;
  QD_INLINE void meet(Size otherRow, float other) {
    if (row != NONE && !(other > product) && !(product != product && other == other)) return;
    row = otherRow;
    product = other;
  }
};
constexpr Size BEST_FLOATS = divideUp(sizeof(Best), sizeof(float)) + 1;  // and the greatest lower bound

struct Head {
  Dense weight;               // [out, in]
  const std::uint8_t* codes;  // [out, in], or nullptr
  const float* scales;        // [out], of the codes
  Size out, in;
  bool bf16;  // operands are rounded to bf16
};

// The scratch: x of each thread, then what all threads read.
struct Room {
  float* x;
  float* products;  // [out]: of the codes
  float* bests;     // BEST_FLOATS of each thread

  Room(float* scratch, const Head& head, int parts, int part) {
    const Size staged = roundUp(head.in, WIDTH);
    x = scratch + staged * static_cast<Size>(part);
    products = scratch + staged * static_cast<Size>(parts);
    bests = products + head.out;
  }
  QD_INLINE float& lowerBound(int part) const { return bests[BEST_FLOATS * static_cast<Size>(part)]; }
  QD_INLINE Best best(int part) const {
    Best b;
    __builtin_memcpy(static_cast<void*>(&b), &lowerBound(part) + 1, sizeof b);
    return b;
  }
  QD_INLINE void keep(int part, const Best& b) const {
    __builtin_memcpy(&lowerBound(part) + 1, &b, sizeof b);
  }
};

// x as it enters the products; Σ|x|.
float stage(const float* x, const Head& head, float* out) {
  F32x sum{};
  for (Size i = 0; i < head.in; i += WIDTH) {
    const int n = static_cast<int>(smaller<Size>(WIDTH, head.in - i));
    const F32x exact = loadFirst(x + i, n);
    const F32x used = head.bf16 ? roundToBf16(exact) : exact;
    storeFirst(out + i, used, n);
    sum += absolute(used);
  }
  return sumOf(sum);
}

// How far the product with a row's codes may be from that with the row, in units of its scale's magnitude (a
// scale below 0 is not ours, and no error, so the row with the greatest lower bound is always kept): half a
// unit for every |x| (three quarters where W is rounded too: 127 · 2^-9), and what the roundings of both sums
// add: each at most in/16 + 8 steps of 2^-24 · 127 · Σ|x|, together less than 4e-6 of half a unit for every
// element of the row.
float errorPerScale(const Head& head, float sumOfX) {
  if (!(sumOfX < 1e36f)) return __builtin_inff();
  return (head.bf16 && head.weight.f32 ? 0.76f : 0.5f) * (1.001f + 4e-6f * static_cast<float>(head.in)) *
         sumOfX;
}

// The greatest lower bound of the products of the rows; the products with their codes into `products`.
float multiplyCodes(const Head& head, Range rows, const float* x, float perScale, float* products) {
  float most = -__builtin_inff();
  for (Size n = rows.begin; n < rows.end; n++) {
    const float scale = head.scales[n];
    const float product = scale * dot(x, Codes{head.codes}, n * head.in, head.in);
    const float low = product - __builtin_fabsf(scale) * perScale;
    products[n] = product;
    if (low > most) most = low;
  }
  return most;
}

template <class W>
Best bestOf(const Head& head, const W& w, Range rows, const float* x, float perScale, float least,
            const float* products) {
  Best best;
  for (Size n = rows.begin; n < rows.end; n++) {
    if (products && products[n] + __builtin_fabsf(head.scales[n]) * perScale < least) continue;
    best.meet(n, dot(x, w, n * head.in, head.in));
  }
  return best;
}

Best bestOf(const Head& head, Range rows, const float* x, float perScale, float least,
            const float* products) {
  if (head.weight.bf16)
    return bestOf(head, Exact<BFloat16, false>{head.weight.bf16}, rows, x, perScale, least, products);
  if (head.bf16) return bestOf(head, Exact<float, true>{head.weight.f32}, rows, x, perScale, least, products);
  return bestOf(head, Exact<float, false>{head.weight.f32}, rows, x, perScale, least, products);
}

// One token: every thread its rows; in row order the first of equals wins.
Best choose(Threads& threads, const Head& head, const float* token, float* scratch) {
  const int parts = threads.partsFor(static_cast<double>(head.out) * static_cast<double>(head.in), GRAIN);
  threads.run(parts, [&](int part) {
    const Room room(scratch, head, parts, part);
    const Range rows = shareOf(head.out, parts, part);
    const float perScale = errorPerScale(head, stage(token, head, room.x));
    float least = -__builtin_inff();
    if (head.codes) {
      room.lowerBound(part) = multiplyCodes(head, rows, room.x, perScale, room.products);
      threads.barrier();
      for (int p = 0; p < parts; p++) least = larger(room.lowerBound(p), least);
      if (!(least < __builtin_inff())) least = -__builtin_inff();
    }
    room.keep(part, bestOf(head, rows, room.x, perScale, least, head.codes ? room.products : nullptr));
  });
  const Room room(scratch, head, parts, 0);
  Best best;
  for (int p = 0; p < parts; p++)
    if (const Best other = room.best(p); other.row != Best::NONE) best.meet(other.row, other.product);
  return best;
}

double linearArgmaxScratch(Threads& threads, Size out, Size in) {
  return static_cast<double>((roundUp(in, WIDTH) + BEST_FLOATS) * static_cast<Size>(threads.count()) + out);
}

Status linearArgmax(Threads& threads, In<float> x, Dense weight, OptionalIn<std::uint8_t> codes,
                    OptionalIn<float> scales, Out<std::int32_t> ids, Out<float> logits, Out<float> scratch,
                    Size tokens, Size out, Size in, bool bf16) {
  if (out == 0 || out > 0x7fffffff)
    return unsupported("the weight must have at least one row, and fewer than 2^31");
  QD_NEED(x, times(tokens, in));
  QD_NEED(weight, times(out, in));
  QD_NEED_IF_GIVEN(codes, times(out, in));
  QD_NEED_IF_GIVEN(scales, out);
  QD_NEED(ids, tokens);
  QD_NEED(logits, tokens);
  QD_NEED(scratch, linearArgmaxScratch(threads, out, in));
  const bool screens = codes.data && scales.data;
  const Head head{weight, screens ? codes.data : nullptr, scales.data, out, in, bf16};
  for (Size t = 0; t < tokens; t++) {
    const Best best = choose(threads, head, x.data + t * in, scratch.data);
    ids.data[t] = static_cast<std::int32_t>(best.row);
    logits.data[t] = best.product;
  }
  return ok();
}

}  // namespace
QD_EXPORT(linearArgmaxScratch)
QD_EXPORT(linearArgmax)
}  // namespace qdylora::QD_LEVEL
