#pragma once
#include <cstddef>
#include <cstdint>

#include "inline.h"
#include "thread-pool.h"

// What a kernel file sees of the world outside: arrays with their lengths, numbers, a team of threads, a Status. No N-API, no allocation.
// A kernel lives in namespace qdylora::QD_LEVEL (avx2, avx512, …): its source is compiled once per level.
#ifndef QD_LEVEL
#define QD_LEVEL generic
#define QD_WIDTH 4
#endif

namespace qdylora {

using Size = std::size_t;
using BFloat16 = std::uint16_t;  // bit patterns: the upper half of a float

enum class ElementType : std::uint8_t { none, f32, bf16, i32, u8 };

// One argument as the door hands it over; `type` none = a number or a left-out array.
struct Argument { void* data; Size length; double number; ElementType type; };

// What an argument may be. An array kind is the set of its element types, so that a dense weight can be f32 or bf16.
enum Kind : std::uint16_t {
  KIND_F32 = 1, KIND_BF16 = 2, KIND_I32 = 4, KIND_U8 = 8, KIND_ARRAY = 15, KIND_OPTIONAL = 16,
  KIND_SIZE = 32, KIND_NUMBER = 64, KIND_BOOL = 128, KIND_U32 = 256, KIND_THREADS = 512,
};

struct Status {
  enum Code : std::uint8_t { OK, TOO_SHORT, UNSUPPORTED } code;
  int argument;          // position of the array that is too short
  Size expected;         // elements that it should have
  const char* problem;   // for UNSUPPORTED
};
constexpr Status ok() { return {Status::OK, 0, 0, nullptr}; }
constexpr Status tooShort(int argument, Size expected) { return {Status::TOO_SHORT, argument, expected, nullptr}; }
constexpr Status unsupported(const char* problem) { return {Status::UNSUPPORTED, 0, 0, problem}; }

// Arrays as parameters of a kernel; `position` serves the error message. `Optional…` have data == nullptr where they are left out.
template <class T> struct In { const T* data; Size size; int position; };
template <class T> struct Out { T* data; Size size; int position; };
template <class T> struct OptionalIn { const T* data; Size size; int position; };
template <class T> struct OptionalOut { T* data; Size size; int position; };
// A weight in its stored type: exactly one pointer is set (none where an optional one is left out).
struct Dense { const float* f32; const BFloat16* bf16; Size size; int position; };
struct OptionalDense { const float* f32; const BFloat16* bf16; Size size; int position; };

// First lines of a kernel: arrays must be long enough for the sizes that came with them.
#define QD_NEED(array, elements) \
  do { if ((array).size < static_cast<::qdylora::Size>(elements)) return ::qdylora::tooShort((array).position, (elements)); } while (0)
#define QD_NEED_IF_GIVEN(array, elements) \
  do { if ((array).data) QD_NEED(array, elements); } while (0)

// A kernel with its signature erased: what the door needs to check the arguments and to call it.
struct KernelEntry {
  const char* name;
  const std::uint16_t* kinds;
  int argumentCount;
  bool returnsNumber;
  Status (*invoke)(Threads&, const Argument*, double*);
};

namespace QD_LEVEL {

template <class T> constexpr std::uint16_t elementKind();
template <> constexpr std::uint16_t elementKind<float>() { return KIND_F32; }
template <> constexpr std::uint16_t elementKind<BFloat16>() { return KIND_BF16; }
template <> constexpr std::uint16_t elementKind<std::int32_t>() { return KIND_I32; }
template <> constexpr std::uint16_t elementKind<std::uint8_t>() { return KIND_U8; }

template <class P> struct Parameter;
template <class T> struct Parameter<In<T>> {
  static constexpr std::uint16_t kind = elementKind<T>();
  static QD_INLINE In<T> from(Threads&, const Argument& a, int at) { return {static_cast<const T*>(a.data), a.length, at}; }
};
template <class T> struct Parameter<Out<T>> {
  static constexpr std::uint16_t kind = elementKind<T>();
  static QD_INLINE Out<T> from(Threads&, const Argument& a, int at) { return {static_cast<T*>(a.data), a.length, at}; }
};
template <class T> struct Parameter<OptionalIn<T>> {
  static constexpr std::uint16_t kind = elementKind<T>() | KIND_OPTIONAL;
  static QD_INLINE OptionalIn<T> from(Threads&, const Argument& a, int at) { return {static_cast<const T*>(a.data), a.length, at}; }
};
template <class T> struct Parameter<OptionalOut<T>> {
  static constexpr std::uint16_t kind = elementKind<T>() | KIND_OPTIONAL;
  static QD_INLINE OptionalOut<T> from(Threads&, const Argument& a, int at) { return {static_cast<T*>(a.data), a.length, at}; }
};
template <class D> struct DenseParameter {
  static QD_INLINE D from(Threads&, const Argument& a, int at) {
    return {a.type == ElementType::f32 ? static_cast<const float*>(a.data) : nullptr,
            a.type == ElementType::bf16 ? static_cast<const BFloat16*>(a.data) : nullptr, a.length, at};
  }
};
template <> struct Parameter<Dense> : DenseParameter<Dense> { static constexpr std::uint16_t kind = KIND_F32 | KIND_BF16; };
template <> struct Parameter<OptionalDense> : DenseParameter<OptionalDense> { static constexpr std::uint16_t kind = KIND_F32 | KIND_BF16 | KIND_OPTIONAL; };
template <class T, std::uint16_t K> struct NumberParameter {
  static constexpr std::uint16_t kind = K;
  static QD_INLINE T from(Threads&, const Argument& a, int) { return static_cast<T>(a.number); }
};
template <> struct Parameter<Size> : NumberParameter<Size, KIND_SIZE> {};
template <> struct Parameter<float> : NumberParameter<float, KIND_NUMBER> {};
template <> struct Parameter<double> : NumberParameter<double, KIND_NUMBER> {};
template <> struct Parameter<std::uint32_t> : NumberParameter<std::uint32_t, KIND_U32> {};
template <> struct Parameter<bool> : NumberParameter<bool, KIND_BOOL> {};
template <> struct Parameter<Threads&> {
  static constexpr std::uint16_t kind = KIND_THREADS;
  static QD_INLINE Threads& from(Threads& threads, const Argument&, int) { return threads; }
};

template <int... I> struct Positions {};
template <int N, int... I> struct CountTo : CountTo<N - 1, N - 1, I...> {};
template <int... I> struct CountTo<0, I...> { using type = Positions<I...>; };

// Result: Status (a kernel) or a number (a workspace size, a measurement).
template <auto Function> struct Erased;
template <class Result, class... P, Result (*Function)(P...)>
struct Erased<Function> {
  static constexpr bool returnsNumber = !__is_same(Result, Status);
  static constexpr std::uint16_t kinds[] = {Parameter<P>::kind..., 0};
  static Status invoke(Threads& threads, const Argument* arguments, double* number) {
    return call(threads, arguments, number, typename CountTo<sizeof...(P)>::type{});
  }
  template <int... I>
  static QD_INLINE Status call(Threads& threads, const Argument* arguments, double* number, Positions<I...>) {
    (void)threads, (void)arguments, (void)number;
    if constexpr (returnsNumber) { *number = static_cast<double>(Function(Parameter<P>::from(threads, arguments[I], I)...)); return ok(); }
    else return Function(Parameter<P>::from(threads, arguments[I], I)...);
  }
  static constexpr KernelEntry entry(const char* name) { return {name, kinds, sizeof...(P), returnsNumber, &invoke}; }
};

}  // namespace QD_LEVEL

// At the end of a kernel file, inside namespace qdylora::QD_LEVEL: makes `function` callable from JavaScript under its own name.
#define QD_EXPORT(function) \
  extern const KernelEntry function##Entry; \
  const KernelEntry function##Entry = Erased<&function>::entry(#function);

}  // namespace qdylora
