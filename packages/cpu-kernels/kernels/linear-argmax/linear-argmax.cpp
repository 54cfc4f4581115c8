// Computes: the row of W: [out, in] with the greatest product x·w, and that product: the head of a model that
//   generates the likeliest token. With codes (8-bit integers and a scale per row, quantize-rows.cpp) the
//   products of the codes come first. Each is off by at most a bound that follows from the row's scale and
//   from x, so only rows whose upper bound reaches the greatest lower bound can win (5 of 49,152 in the
//   middle, at most 56, in a text of SmolLM2-135M). Their products are computed from W itself; the answer is
//   the one without codes, bit for bit.
// Owners: a thread owns a range of rows.
// Cost: one byte read per weight with codes, two or four without, for up to TOGETHER tokens. With codes, for
//   64 weights one instruction and two for each token on levels with products of bytes, else 8 and 4.
// Assumes: nothing about values: rows whose bound is not a number are all computed from W. Scratch: x of each
//   thread, the products of codes, the best of each thread; each for TOGETHER tokens.
#include "../../native/gemm/blocking.h"
#include "linear-argmax.codes.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr double GRAIN = 262144;  // weights a thread

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

// Floats of a token's x, and of what products with codes need.
constexpr Size inputFloats(Size in) { return roundUp(in, WIDTH) + CodeInput::floats(in); }

// The scratch: x of each thread, then what all threads read; each for `tokens` tokens.
struct Room {
  float* x;
  Size apart;       // from one token's x to the next one's; what products with codes need is behind each
  float* products;  // [tokens][out]: of the codes
  float* bests;     // BEST_FLOATS of each thread and token
  int tokens;

  Room(float* scratch, const Head& head, int tokens, int parts, int part)
      : apart(inputFloats(head.in)), tokens(tokens) {
    const Size ofPart = apart * static_cast<Size>(tokens);
    x = scratch + ofPart * static_cast<Size>(part);
    products = scratch + ofPart * static_cast<Size>(parts);
    bests = products + head.out * static_cast<Size>(tokens);
  }
  QD_INLINE float& lowerBound(int part, int token) const {
    return bests[BEST_FLOATS * static_cast<Size>(part * tokens + token)];
  }
  QD_INLINE Best best(int part, int token) const {
    Best b;
    __builtin_memcpy(static_cast<void*>(&b), &lowerBound(part, token) + 1, sizeof b);
    return b;
  }
  QD_INLINE void keep(int part, int token, const Best& b) const {
    __builtin_memcpy(&lowerBound(part, token) + 1, &b, sizeof b);
  }
};

// x as it enters the products.
void stage(const float* x, const Head& head, float* out) {
  for (Size i = 0; i < head.in; i += WIDTH) {
    const int n = static_cast<int>(smaller<Size>(WIDTH, head.in - i));
    const F32x exact = loadFirst(x + i, n);
    storeFirst(out + i, head.bf16 ? roundToBf16(exact) : exact, n);
  }
}

// How far the product with a row's codes may be from that with the row, in units of its scale's magnitude (a
// scale below 0 is not ours, and no error, so the row with the greatest lower bound is always kept): half a
// unit for every |x| (three quarters where W is rounded too: 127 · 2^-9), 127 for every error of x itself,
// and what the roundings of both sums add: each at most in/16 + 8 steps of 2^-24 · 127 · Σ|x|, together less
// than 4e-6 of half a unit for every element of the row.
float errorPerScale(const Head& head, const CodeInput& x) {
  if (!(x.sumOfMagnitudes < 1e36f)) return __builtin_inff();
  const float ofCodes = (head.bf16 && head.weight.f32 ? 0.76f : 0.5f) * x.sumOfMagnitudes;
  const float size = static_cast<float>(head.in);
  return ofCodes * (1.001f + 4e-6f * size) + 127 * 1.001f * size * x.greatestError;
}

// The greatest lower bound of each token's products with the rows; the products with their codes into
// `room.products`. perScale: [TOKENS]
template <int TOKENS>
void multiplyCodes(const Head& head, Range rows, const Room& room, const CodeInput (&x)[TOKENS],
                   const float (&perScale)[TOKENS], float (&most)[TOKENS]) {
  for (float& bound : most) bound = -__builtin_inff();
  for (Size n = rows.begin; n < rows.end; n++) {
    float sums[TOKENS];
    codeDots<TOKENS>(x, head.codes + n * head.in, head.in, sums);
    const float scale = head.scales[n];
#pragma GCC unroll 4
    for (Size t = 0; t < TOKENS; t++) {
      const float product = scale * sums[t];
      const float low = product - __builtin_fabsf(scale) * perScale[t];
      room.products[t * head.out + n] = product;
      if (low > most[t]) most[t] = low;
    }
  }
}

// The best of all rows for each token.
template <int TOKENS, class W>
void bestOfAll(const Head& head, const W& w, Range rows, const Room& room, Best (&best)[TOKENS]) {
  const float* x[TOKENS];
  for (Size t = 0; t < TOKENS; t++) x[t] = room.x + t * room.apart;
  for (Size n = rows.begin; n < rows.end; n++) {
    float products[TOKENS];
    dots<TOKENS>(x, w, n * head.in, head.in, products);
    for (Size t = 0; t < TOKENS; t++) best[t].meet(n, products[t]);
  }
}

// The best of the rows that can win: whose upper bound, by their codes, reaches `least`.
template <class W>
Best bestOfScreened(const Head& head, const W& w, Range rows, const float* x, float perScale, float least,
                    const float* products) {
  Best best;
  for (Size n = rows.begin; n < rows.end; n++) {
    if (products[n] + __builtin_fabsf(head.scales[n]) * perScale < least) continue;
    float product[1];
    dots<1>({x}, w, n * head.in, head.in, product);
    best.meet(n, product[0]);
  }
  return best;
}

// Calls body(w) with the weight as it enters the exact products.
template <class Body>
QD_INLINE void withWeight(const Head& head, const Body& body) {
  if (head.weight.bf16)
    body(Exact<BFloat16, false>{head.weight.bf16});
  else if (head.bf16)
    body(Exact<float, true>{head.weight.f32});
  else
    body(Exact<float, false>{head.weight.f32});
}

// One thread's rows, for TOKENS tokens.
template <int TOKENS>
void chooseRows(Threads& threads, const Head& head, const float* x, const Room& room, int parts, int part) {
  const Range rows = shareOf(head.out, parts, part);
  for (Size t = 0; t < TOKENS; t++) stage(x + t * head.in, head, room.x + t * room.apart);
  Best best[TOKENS];
  if (!head.codes) {
    withWeight(head, [&](const auto& w) { bestOfAll<TOKENS>(head, w, rows, room, best); });
  } else {
    CodeInput inputs[TOKENS];
    float perScale[TOKENS], bounds[TOKENS];
    for (Size t = 0; t < TOKENS; t++) {
      inputs[t] = CodeInput(room.x + t * room.apart, head.in);
      perScale[t] = errorPerScale(head, inputs[t]);
    }
    multiplyCodes<TOKENS>(head, rows, room, inputs, perScale, bounds);
    for (int t = 0; t < TOKENS; t++) room.lowerBound(part, t) = bounds[t];
    threads.barrier();
    for (int t = 0; t < TOKENS; t++) {
      float least = -__builtin_inff();
      for (int p = 0; p < parts; p++) least = larger(room.lowerBound(p, t), least);
      if (!(least < __builtin_inff())) least = -__builtin_inff();
      const Size at = static_cast<Size>(t);
      withWeight(head, [&](const auto& w) {
        best[t] = bestOfScreened(head, w, rows, room.x + at * room.apart, perScale[t], least,
                                 room.products + at * head.out);
      });
    }
  }
  for (int t = 0; t < TOKENS; t++) room.keep(part, t, best[t]);
}

// Up to TOGETHER tokens: every thread its rows; in row order the first of equals wins.
void choose(Threads& threads, const Head& head, const float* x, int tokens, float* scratch, Best* best) {
  const int parts = threads.partsFor(static_cast<double>(head.out) * static_cast<double>(head.in), GRAIN);
  threads.run(parts, [&](int part) {
    const Room room(scratch, head, tokens, parts, part);
    if (tokens == 1) return chooseRows<1>(threads, head, x, room, parts, part);
    if (tokens == 2) return chooseRows<2>(threads, head, x, room, parts, part);
    if constexpr (TOGETHER == 4) {
      if (tokens == 3) return chooseRows<3>(threads, head, x, room, parts, part);
      return chooseRows<4>(threads, head, x, room, parts, part);
    }
  });
  const Room room(scratch, head, tokens, parts, 0);
  for (int t = 0; t < tokens; t++) {
    best[t] = {};
    for (int p = 0; p < parts; p++)
      if (const Best other = room.best(p, t); other.row != Best::NONE) best[t].meet(other.row, other.product);
  }
}

double linearArgmaxScratch(Threads& threads, Size tokens, Size out, Size in) {
  const Size together = larger<Size>(1, smaller<Size>(TOGETHER, tokens));
  const Size ofThread = inputFloats(in) + BEST_FLOATS;
  return static_cast<double>(together * (ofThread * static_cast<Size>(threads.count()) + out));
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
  QD_NEED(scratch, linearArgmaxScratch(threads, tokens, out, in));
  const bool screens = codes.data && scales.data && in <= CodeInput::MOST_LENGTH;
  const Head head{weight, screens ? codes.data : nullptr, scales.data, out, in, bf16};
  for (Size from = 0; from < tokens; from += TOGETHER) {
    const int count = static_cast<int>(smaller<Size>(TOGETHER, tokens - from));
    Best best[TOGETHER];
    choose(threads, head, x.data + from * in, count, scratch.data, best);
    for (int t = 0; t < count; t++) {
      ids.data[from + static_cast<Size>(t)] = static_cast<std::int32_t>(best[t].row);
      logits.data[from + static_cast<Size>(t)] = best[t].product;
    }
  }
  return ok();
}

}  // namespace
QD_EXPORT(linearArgmaxScratch)
QD_EXPORT(linearArgmax)
}  // namespace qdylora::QD_LEVEL
