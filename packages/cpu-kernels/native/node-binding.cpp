#include "node-binding.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <memory>

#include "guarded-end.h"

namespace qdylora {
namespace {

constexpr int MAX_ARGUMENTS = 96;

struct Bound { const KernelEntry* entry; Instance* instance; int argumentCount; };

const char* kindText(std::uint16_t kind) {
  switch (kind & ~KIND_OPTIONAL) {
    case KIND_F32: return "a Float32Array";
    case KIND_BF16: return "a Uint16Array (bf16)";
    case KIND_F32 | KIND_BF16: return "a Float32Array or a Uint16Array (bf16)";
    case KIND_I32: return "an Int32Array";
    case KIND_U8: return "a Uint8Array";
    case KIND_SIZE: return "a whole number >= 0";
    case KIND_U32: return "a whole number of 32 bits";
    case KIND_BOOL: return "a boolean";
    default: return "a number";
  }
}

ElementType elementType(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array: return ElementType::f32;
    case napi_uint16_array: return ElementType::bf16;
    case napi_int32_array: return ElementType::i32;
    case napi_uint8_array: return ElementType::u8;
    default: return ElementType::none;
  }
}

std::uint16_t kindOf(ElementType type) {
  switch (type) {
    case ElementType::f32: return KIND_F32;
    case ElementType::bf16: return KIND_BF16;
    case ElementType::i32: return KIND_I32;
    case ElementType::u8: return KIND_U8;
    default: return 0;
  }
}

size_t elementBytes(ElementType type) { return type == ElementType::u8 ? 1 : type == ElementType::bf16 ? 2 : 4; }

bool readArray(napi_env env, napi_value value, std::uint16_t kind, Argument& out, GuardedEnd& end) {
  napi_typedarray_type type;
  napi_value buffer;
  size_t offset;
  if (napi_get_typedarray_info(env, value, &type, &out.length, &out.data, &buffer, &offset) == napi_ok) {
    out.type = elementType(type);
    if (!(kindOf(out.type) & kind)) return false;
    end.guard(env, buffer, offset, out.length * elementBytes(out.type));
    return true;
  }
  napi_valuetype valueType;
  if (!(kind & KIND_OPTIONAL) || napi_typeof(env, value, &valueType) != napi_ok || valueType != napi_undefined) return false;
  out = {nullptr, 0, 0, ElementType::none};
  return true;
}

bool readNumber(napi_env env, napi_value value, std::uint16_t kind, Argument& out) {
  out = {nullptr, 0, 0, ElementType::none};
  if (kind == KIND_BOOL) {
    bool flag;
    if (napi_get_value_bool(env, value, &flag) != napi_ok) return false;
    out.number = flag;
    return true;
  }
  if (napi_get_value_double(env, value, &out.number) != napi_ok) return false;
  if (kind == KIND_NUMBER) return true;
  const double most = kind == KIND_U32 ? 4294967295.0 : 9007199254740991.0;
  return out.number >= 0 && out.number <= most && std::floor(out.number) == out.number;
}

napi_value report(napi_env env, const Bound& bound, const Argument* arguments, const Status& status) {
  if (status.code == Status::TOO_SHORT) {
    throwNative(env, "%s: expected at least %zu elements for argument %d, got %zu", bound.entry->name, status.expected, status.argument, arguments[status.argument].length);
  } else {
    throwNative(env, "%s: %s", bound.entry->name, status.problem);
  }
  return nullptr;
}

napi_value callKernel(napi_env env, napi_callback_info info) {
  napi_value values[MAX_ARGUMENTS];
  Argument arguments[MAX_ARGUMENTS];
  GuardedEnd ends[MAX_ARGUMENTS];
  size_t given = MAX_ARGUMENTS;
  void* data;
  if (napi_get_cb_info(env, info, &given, values, nullptr, &data) != napi_ok) return nullptr;
  const Bound& bound = *static_cast<Bound*>(data);
  const KernelEntry& entry = *bound.entry;
  if (!bound.instance->threads) { throwNative(env, "%s: expected a live backend, got a disposed one", entry.name); return nullptr; }
  if (static_cast<int>(given) != bound.argumentCount) {
    throwNative(env, "%s: expected %d arguments, got %zu", entry.name, bound.argumentCount, given);
    return nullptr;
  }
  for (int i = 0, at = 0; i < entry.argumentCount; i++) {
    const std::uint16_t kind = entry.kinds[i];
    if (kind == KIND_THREADS) continue;  // not an argument of the JavaScript function
    const bool fits = kind & KIND_ARRAY ? readArray(env, values[at], kind, arguments[i], ends[i]) : readNumber(env, values[at], kind, arguments[i]);
    if (!fits) {
      throwNative(env, "%s: expected %s%s for argument %d", entry.name, kindText(kind), kind & KIND_OPTIONAL ? " or undefined" : "", i);
      return nullptr;
    }
    at++;
  }
  double number = 0;
  const Status status = entry.invoke(*bound.instance->threads, arguments, &number);
  if (status.code != Status::OK) return report(env, bound, arguments, status);
  napi_value result = nullptr;
  if (entry.returnsNumber) napi_create_double(env, number, &result);
  return result;
}

}  // namespace

void throwNative(napi_env env, const char* format, ...) {
  char message[512];
  va_list list;
  va_start(list, format);
  std::vsnprintf(message, sizeof message, format, list);
  va_end(list);
  napi_throw_type_error(env, "NATIVE", message);
}

bool bindKernels(napi_env env, napi_value target, const KernelEntry* const* kernels, int count, Instance* instance) {
  for (int i = 0; i < count; i++) {
    auto bound = std::make_unique<Bound>(Bound{kernels[i], instance, 0});
    for (int k = 0; k < kernels[i]->argumentCount; k++) bound->argumentCount += kernels[i]->kinds[k] != KIND_THREADS;
    napi_value function;
    const auto destroy = [](napi_env, void* data, void*) { delete static_cast<Bound*>(data); };
    if (napi_create_function(env, kernels[i]->name, NAPI_AUTO_LENGTH, callKernel, bound.get(), &function) != napi_ok ||
        napi_add_finalizer(env, function, bound.get(), destroy, nullptr, nullptr) != napi_ok) return false;
    bound.release();
    if (napi_set_named_property(env, target, kernels[i]->name, function) != napi_ok) return false;
  }
  return true;
}

}  // namespace qdylora
