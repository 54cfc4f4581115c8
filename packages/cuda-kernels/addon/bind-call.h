// Makes a call of the driver or of cuBLASLt a Node function: numbers, names and bytes in, results out.
// Addresses and handles are numbers in JavaScript: they are below 2⁵³ on every system that the driver runs
// on.
#pragma once
#include <node_api.h>

#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "driver.h"

namespace qdylora {

// What a bound function belongs to. It lives as long as its driver.
struct Entry {
  Driver* driver;
  const char* name;
  void (*call)();
  bool isDriverCall = true;
};

// Throws an error with the properties `call` and `result`, and `errorName` as the driver spells it.
napi_value throwFailure(napi_env env, const Driver& driver, const char* call, Result result);
// The same for a call of another library, whose results the driver has no names for.
napi_value throwFailure(napi_env env, const Entry& entry, Result result);
// The same error, not thrown.
napi_value makeFailure(napi_env env, const Driver& driver, const char* call, Result result);
// Throws a TypeError: a wrong call of this addon, not a failure of the driver.
napi_value throwWrongCall(napi_env env, const char* call);
// Adds a function to an object. False = a pending exception.
bool addFunction(napi_env env, napi_value object, const char* name, napi_callback callback, void* data);

// JavaScript's numbers from here on are not all whole.
constexpr double LEAST_INEXACT = 9007199254740992.0;

// Of cublasLtMatmul.
constexpr std::size_t MOST_ARGUMENTS = 16;

// Reads arguments one after another. False = one is missing or of another kind.
struct ArgumentReader {
  napi_env env;
  napi_value values[MOST_ARGUMENTS];
  std::size_t count = MOST_ARGUMENTS;
  std::size_t next = 0;

  template <class Number>
  bool readNumber(Number& number) {
    double value = 0;
    if (next >= count || napi_get_value_double(env, values[next++], &value) != napi_ok) return false;
    const double least = static_cast<double>(std::numeric_limits<Number>::min());
    const double most = static_cast<double>(std::numeric_limits<Number>::max());
    if (!(value >= least && value <= most && value < LEAST_INEXACT)) return false;
    number = static_cast<Number>(value);
    return static_cast<double>(number) == value;
  }
  bool readBytes(const void*& data, std::size_t& bytes);
  bool readText(std::string& text);
};

// One parameter of a driver call. A value comes from JavaScript.
template <class T>
struct Slot {
  T held{};
  bool read(ArgumentReader& reader) {
    if constexpr (std::is_pointer_v<T>) {
      std::uint64_t address = 0;
      const bool isRead = reader.readNumber(address);
      held = reinterpret_cast<T>(address);
      return isRead;
    } else {
      return reader.readNumber(held);
    }
  }
  T pass() { return held; }
  static constexpr bool IS_RESULT = false;
};

template <>
struct Slot<const char*> {
  std::string held;
  bool read(ArgumentReader& reader) { return reader.readText(held); }
  const char* pass() { return held.c_str(); }
  static constexpr bool IS_RESULT = false;
};

template <>
struct Slot<const void*> {
  const void* held = nullptr;
  bool read(ArgumentReader& reader) {
    std::size_t bytes = 0;
    return reader.readBytes(held, bytes);
  }
  const void* pass() { return held; }
  static constexpr bool IS_RESULT = false;
};

// A result: the driver writes it.
template <class T>
struct ResultSlot {
  T held{};
  bool read(ArgumentReader&) { return true; }
  T* pass() { return &held; }
  static constexpr bool IS_RESULT = true;
  double number() const {
    if constexpr (std::is_pointer_v<T>)
      return static_cast<double>(reinterpret_cast<std::uintptr_t>(held));
    else
      return static_cast<double>(held);
  }
};
template <class T>
struct Slot<T**> : ResultSlot<T*> {};
template <>
struct Slot<int*> : ResultSlot<int> {};
template <>
struct Slot<std::uint64_t*> : ResultSlot<std::uint64_t> {};
template <>
struct Slot<float*> : ResultSlot<float> {};

// The only result itself, or an array of several.
struct ResultList {
  napi_env env;
  napi_value single = nullptr;
  napi_value list = nullptr;
  std::uint32_t count = 0;

  template <class T>
  void add(const Slot<T>& slot) {
    if constexpr (Slot<T>::IS_RESULT) {
      napi_value value = nullptr;
      napi_create_double(env, slot.number(), &value);
      if (count == 0) single = value;
      if (count == 1) {
        napi_create_array(env, &list);
        napi_set_element(env, list, 0, single);
      }
      if (count >= 1) napi_set_element(env, list, count, value);
      count++;
    }
  }
  napi_value value() const { return list ? list : single; }
};

template <class Call>
struct Bound;

template <class... Parameters>
struct Bound<Result (*)(Parameters...)> {
  static napi_value invoke(napi_env env, napi_callback_info info) {
    return invokeWith(env, info, std::index_sequence_for<Parameters...>{});
  }

 private:
  template <std::size_t... I>
  static napi_value invokeWith(napi_env env, napi_callback_info info, std::index_sequence<I...>) {
    void* data = nullptr;
    ArgumentReader reader{env, {}};
    napi_get_cb_info(env, info, &reader.count, reader.values, nullptr, &data);
    const Entry& entry = *static_cast<Entry*>(data);
    std::tuple<Slot<Parameters>...> slots;
    if (!(std::get<I>(slots).read(reader) && ...)) return throwWrongCall(env, entry.name);
    if (const Result result = entry.driver->enter())
      return throwFailure(env, *entry.driver, "cuCtxSetCurrent", result);
    const auto call = reinterpret_cast<Result (*)(Parameters...)>(entry.call);
    if (const Result result = call(std::get<I>(slots).pass()...)) return throwFailure(env, entry, result);
    ResultList results{env};
    (results.add(std::get<I>(slots)), ...);
    return results.value();
  }
};

}  // namespace qdylora
