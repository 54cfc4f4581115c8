#pragma once
#include <cstddef>
#include <cstdint>

#include "inline.h"
#include "thread-pool.h"

// All that a kernel file knows of JavaScript: arrays with their lengths, numbers, a team of threads and a
// Status. No N-API, no allocation. A kernel lives in namespace qdylora::QD_LEVEL (avx2, avx512, …): its
// source is compiled once per level.
#ifndef QD_LEVEL
#define QD_LEVEL generic
#define QD_WIDTH 4
#endif

namespace qdylora {

using Size = std::size_t;
using BFloat16 = std::uint16_t;  // bit patterns: the upper half of a float

enum class ElementType : std::uint8_t { none, f32, bf16, i32, u8 };

// One argument as the door hands it over; `type` none = a number or a left-out array.
struct Argument {
  void* data;
  Size length;
  double number;
  ElementType type;
};

// What an argument may be. An array kind is the set of its element types, so that a dense weight can be f32
// or bf16.
enum Kind : std::uint16_t {
  KIND_F32 = 1,
  KIND_BF16 = 2,
  KIND_I32 = 4,
  KIND_U8 = 8,
  KIND_ARRAY = 15,
  KIND_OPTIONAL = 16,
  KIND_SIZE = 32,
  KIND_NUMBER = 64,
  KIND_BOOL = 128,
  KIND_U32 = 256,
  KIND_THREADS = 512,
};

struct Status {
  enum Code : std::uint8_t { OK, TOO_SHORT, UNSUPPORTED, BAD_DATA } code;
  int argument;         // position of the array that is too short
  Size expected;        // elements that it should have
  const char* problem;  // for UNSUPPORTED and BAD_DATA
  Size place;           // for BAD_DATA: the entry of an array of whole numbers that cannot be
  std::int32_t entry;
};
constexpr Status ok() { return {Status::OK, 0, 0, nullptr, 0, 0}; }
constexpr Status tooShort(int argument, Size expected) {
  return {Status::TOO_SHORT, argument, expected, nullptr, 0, 0};
}
constexpr Status unsupported(const char* problem) { return {Status::UNSUPPORTED, 0, 0, problem, 0, 0}; }
constexpr Status badData(const char* problem, Size place, std::int32_t entry) {
  return {Status::BAD_DATA, 0, 0, problem, place, entry};
}

// Arrays as parameters of a kernel; `position` serves the error message. `Optional…` have data == nullptr
// where they are left out, and only there: an empty array has an address too.
template <class T>
struct In {
  const T* data;
  Size size;
  int position;
};
template <class T>
struct Out {
  T* data;
  Size size;
  int position;
};
template <class T>
struct OptionalIn {
  const T* data;
  Size size;
  int position;
};
template <class T>
struct OptionalOut {
  T* data;
  Size size;
  int position;
};
// Numbers of either float type (a weight as it is stored, rows between products): exactly one pointer is set,
// none where an optional one is left out.
struct Dense {
  const float* f32;
  const BFloat16* bf16;
  Size size;
  int position;
};
struct OptionalDense : Dense {};
struct OutDense {
  float* f32;
  BFloat16* bf16;
  Size size;
  int position;
};
struct OptionalOutDense : OutDense {};
template <class D>
QD_INLINE bool isGiven(const D& array) {
  return array.f32 || array.bf16;
}

// Up to MOST records of one kind, such as the layers of a group. JavaScript passes an array of records, which
// may be shorter: so the arrays of a record have to be optional.
template <class S, int MOST>
struct List {
  S records[MOST];
  Size count;
  QD_INLINE const S& operator[](Size i) const { return records[i]; }
};

// The elements of an array of sizes a × b × …; MORE_THAN_ANY where that passes 64 bits. Sizes come from
// JavaScript, up to 2^53 each, and a product that wraps around would let through any array.
constexpr Size MORE_THAN_ANY = ~Size{0};
QD_INLINE constexpr Size times(Size a, Size b) {
  Size product = 0;
  return __builtin_mul_overflow(a, b, &product) ? MORE_THAN_ANY : product;
}
template <class... More>
QD_INLINE constexpr Size times(Size a, Size b, Size c, More... more) {
  return times(times(a, b), c, more...);
}

// First lines of a kernel: arrays must be long enough for the sizes that came with them.
#define QD_NEED(array, elements)                                \
  do {                                                          \
    if ((array).size < static_cast<::qdylora::Size>(elements))  \
      return ::qdylora::tooShort((array).position, (elements)); \
  } while (0)
#define QD_NEED_IF_GIVEN(array, elements)       \
  do {                                          \
    if ((array).data) QD_NEED(array, elements); \
  } while (0)
#define QD_NEED_DENSE_IF_GIVEN(array, elements)              \
  do {                                                       \
    if (::qdylora::isGiven(array)) QD_NEED(array, elements); \
  } while (0)

// The most arguments of a kernel: the door reads them into arrays of this length.
constexpr int MAX_ARGUMENTS = 96;

// A list among the arguments of a kernel: the number of records at `first`, then `most` records of `width`
// arguments, which have these names.
struct ListShape {
  int first, most, width;
  const char* const* names;
};

// A kernel with its signature erased: what the door needs to check the arguments and to call it.
struct KernelEntry {
  const char* name;
  const std::uint16_t* kinds;
  int argumentCount;
  const ListShape* lists;
  int listCount;
  bool returnsNumber;
  Status (*invoke)(Threads&, const Argument*, double*);
};

namespace QD_LEVEL {

template <class T>
constexpr std::uint16_t elementKind();
template <>
constexpr std::uint16_t elementKind<float>() {
  return KIND_F32;
}
template <>
constexpr std::uint16_t elementKind<BFloat16>() {
  return KIND_BF16;
}
template <>
constexpr std::uint16_t elementKind<std::int32_t>() {
  return KIND_I32;
}
template <>
constexpr std::uint16_t elementKind<std::uint8_t>() {
  return KIND_U8;
}

// How a parameter of type P is made from the arguments that begin at `at`: how many it takes, what they may
// be, and its value.
template <class P>
struct Parameter;
template <std::uint16_t K>
struct OneArgument {
  static constexpr int width = 1;
  static constexpr void describe(std::uint16_t* kinds) { kinds[0] = K; }
};
template <class T>
struct Parameter<In<T>> : OneArgument<elementKind<T>()> {
  static QD_INLINE In<T> from(Threads&, const Argument* a, int at) {
    return {static_cast<const T*>(a[at].data), a[at].length, at};
  }
};
template <class T>
struct Parameter<Out<T>> : OneArgument<elementKind<T>()> {
  static QD_INLINE Out<T> from(Threads&, const Argument* a, int at) {
    return {static_cast<T*>(a[at].data), a[at].length, at};
  }
};
template <class T>
struct Parameter<OptionalIn<T>> : OneArgument<elementKind<T>() | KIND_OPTIONAL> {
  static QD_INLINE OptionalIn<T> from(Threads&, const Argument* a, int at) {
    return {static_cast<const T*>(a[at].data), a[at].length, at};
  }
};
template <class T>
struct Parameter<OptionalOut<T>> : OneArgument<elementKind<T>() | KIND_OPTIONAL> {
  static QD_INLINE OptionalOut<T> from(Threads&, const Argument* a, int at) {
    return {static_cast<T*>(a[at].data), a[at].length, at};
  }
};
template <class D, std::uint16_t K>
struct DenseParameter : OneArgument<K> {
  static QD_INLINE D from(Threads&, const Argument* a, int at) {
    D dense{};
    if (a[at].type == ElementType::f32) dense.f32 = static_cast<float*>(a[at].data);
    if (a[at].type == ElementType::bf16) dense.bf16 = static_cast<BFloat16*>(a[at].data);
    dense.size = a[at].length;
    dense.position = at;
    return dense;
  }
};
template <>
struct Parameter<Dense> : DenseParameter<Dense, KIND_F32 | KIND_BF16> {};
template <>
struct Parameter<OptionalDense> : DenseParameter<OptionalDense, KIND_F32 | KIND_BF16 | KIND_OPTIONAL> {};
template <>
struct Parameter<OutDense> : DenseParameter<OutDense, KIND_F32 | KIND_BF16> {};
template <>
struct Parameter<OptionalOutDense> : DenseParameter<OptionalOutDense, KIND_F32 | KIND_BF16 | KIND_OPTIONAL> {
};
template <class T, std::uint16_t K>
struct NumberParameter : OneArgument<K> {
  static QD_INLINE T from(Threads&, const Argument* a, int at) { return static_cast<T>(a[at].number); }
};
template <>
struct Parameter<Size> : NumberParameter<Size, KIND_SIZE> {};
template <>
struct Parameter<float> : NumberParameter<float, KIND_NUMBER> {};
template <>
struct Parameter<double> : NumberParameter<double, KIND_NUMBER> {};
template <>
struct Parameter<std::uint32_t> : NumberParameter<std::uint32_t, KIND_U32> {};
template <>
struct Parameter<bool> : NumberParameter<bool, KIND_BOOL> {};
template <>
struct Parameter<Threads&> : OneArgument<KIND_THREADS> {
  static QD_INLINE Threads& from(Threads& threads, const Argument*, int) { return threads; }
};

// A struct whose fields, of types F in their order, are arguments one after the other: struct Parameter<S> :
// Fields<S, F…> {}.
template <class S, class... F>
struct Fields {
  static constexpr int width = (Parameter<F>::width + ...);
  static constexpr void describe(std::uint16_t* kinds) {
    ((Parameter<F>::describe(kinds), kinds += Parameter<F>::width), ...);
  }
  template <class T>
  static QD_INLINE T next(Threads& threads, const Argument* a, int& at) {
    at += Parameter<T>::width;
    return Parameter<T>::from(threads, a, at - Parameter<T>::width);
  }
  static QD_INLINE S from(Threads& threads, const Argument* a, int at) {
    return {next<F>(threads, a, at)...};
  }
};

// The names that the fields of a record have in JavaScript, one for each argument, in the order of
// Parameter<S>: template <> struct FieldNames<S> { static constexpr const char* of[] = {"rows", …}; }.
template <class S>
struct FieldNames;
template <class S, int MOST>
struct Parameter<List<S, MOST>> {
  static constexpr int recordWidth = Parameter<S>::width;
  static constexpr int width = 1 + MOST * recordWidth;
  static_assert(sizeof(FieldNames<S>::of) / sizeof(const char*) == recordWidth, "one name for each argument");
  static constexpr void describe(std::uint16_t* kinds) {
    kinds[0] = KIND_SIZE;
    for (int i = 0; i < MOST; i++) Parameter<S>::describe(kinds + 1 + i * recordWidth);
  }
  static QD_INLINE List<S, MOST> from(Threads& threads, const Argument* a, int at) {
    List<S, MOST> list{};
    list.count = static_cast<Size>(a[at].number);
    for (int i = 0; i < MOST; i++) list.records[i] = Parameter<S>::from(threads, a, at + 1 + i * recordWidth);
    return list;
  }
};
// Writes the shape of P, a parameter that begins at `at`, where it is a list. Returns how many it wrote.
template <class P>
struct ListIn {
  static constexpr int describe(ListShape*, int) { return 0; }
};
template <class S, int MOST>
struct ListIn<List<S, MOST>> {
  static constexpr int describe(ListShape* shape, int at) {
    *shape = {at, MOST, Parameter<S>::width, FieldNames<S>::of};
    return 1;
  }
};

template <int... I>
struct Positions {};
template <int N, int... I>
struct CountTo : CountTo<N - 1, N - 1, I...> {};
template <int... I>
struct CountTo<0, I...> {
  using type = Positions<I...>;
};

// Result: Status (a kernel) or a number (a workspace size, a measurement).
template <auto Function>
struct Erased;
template <class Result, class... P, Result (*Function)(P...)>
struct Erased<Function> {
  static constexpr bool returnsNumber = !__is_same(Result, Status);
  static constexpr int width = (Parameter<P>::width + ... + 0);
  static_assert(width <= MAX_ARGUMENTS, "the door reads at most MAX_ARGUMENTS arguments");
  // The kinds of all arguments, where each parameter's begin, and the lists among the parameters.
  struct Layout {
    std::uint16_t kinds[width + 1];
    int starts[sizeof...(P) + 1];
    ListShape lists[sizeof...(P) + 1];
    int listCount;
  };
  static constexpr Layout layout = [] {
    Layout all{};
    [[maybe_unused]] int at = 0, i = 0;
    ((Parameter<P>::describe(all.kinds + at), all.starts[i++] = at,
      all.listCount += ListIn<P>::describe(all.lists + all.listCount, at), at += Parameter<P>::width),
     ...);
    return all;
  }();
  static Status invoke(Threads& threads, const Argument* arguments, double* number) {
    return call(threads, arguments, number, typename CountTo<sizeof...(P)>::type{});
  }
  template <int... I>
  static QD_INLINE Status call(Threads& threads, const Argument* arguments, double* number, Positions<I...>) {
    (void)threads, (void)arguments, (void)number;
    if constexpr (returnsNumber) {
      *number = static_cast<double>(Function(Parameter<P>::from(threads, arguments, layout.starts[I])...));
      return ok();
    } else
      return Function(Parameter<P>::from(threads, arguments, layout.starts[I])...);
  }
  static constexpr KernelEntry entry(const char* name) {
    return {name, layout.kinds, width, layout.lists, layout.listCount, returnsNumber, &invoke};
  }
};

}  // namespace QD_LEVEL

// At the end of a kernel file, inside namespace qdylora::QD_LEVEL: makes `function` callable from JavaScript
// under its own name.
#define QD_EXPORT(function)                 \
  extern const KernelEntry function##Entry; \
  const KernelEntry function##Entry = Erased<&function>::entry(#function);

}  // namespace qdylora
