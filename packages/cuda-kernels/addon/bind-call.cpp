#include "bind-call.h"

#include <cstdint>

namespace qdylora {

namespace {

napi_value makeNamedFailure(napi_env env, const char* call, Result result, const char* name) {
  const std::string message = std::string(call) + " returned " + std::to_string(result);
  napi_value text, error, value;
  napi_create_string_utf8(env, message.c_str(), NAPI_AUTO_LENGTH, &text);
  napi_create_error(env, nullptr, text, &error);
  napi_create_string_utf8(env, call, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, error, "call", value);
  napi_create_int32(env, result, &value);
  napi_set_named_property(env, error, "result", value);
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, error, "errorName", value);
  return error;
}

}  // namespace

napi_value makeFailure(napi_env env, const Driver& driver, const char* call, Result result) {
  const char* name = nullptr;
  if (!driver.calls.cuGetErrorName || driver.calls.cuGetErrorName(result, &name) != 0 || !name) name = "";
  return makeNamedFailure(env, call, result, name);
}

napi_value throwFailure(napi_env env, const Entry& entry, Result result) {
  if (entry.isDriverCall) return throwFailure(env, *entry.driver, entry.name, result);
  napi_throw(env, makeNamedFailure(env, entry.name, result, ""));
  return nullptr;
}

napi_value throwFailure(napi_env env, const Driver& driver, const char* call, Result result) {
  napi_throw(env, makeFailure(env, driver, call, result));
  return nullptr;
}

napi_value throwWrongCall(napi_env env, const char* call) {
  const std::string message = std::string(call) + ": an argument is missing or of the wrong kind";
  napi_throw_type_error(env, "NATIVE", message.c_str());
  return nullptr;
}

bool addFunction(napi_env env, napi_value object, const char* name, napi_callback callback, void* data) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function) == napi_ok &&
         napi_set_named_property(env, object, name, function) == napi_ok;
}

bool ArgumentReader::readBytes(const void*& data, std::size_t& bytes) {
  napi_typedarray_type type;
  void* start = nullptr;
  if (next >= count ||
      napi_get_typedarray_info(env, values[next++], &type, &bytes, &start, nullptr, nullptr) != napi_ok)
    return false;
  data = start;
  return type == napi_uint8_array;
}

bool ArgumentReader::readText(std::string& text) {
  std::size_t length = 0;
  if (next >= count || napi_get_value_string_utf8(env, values[next], nullptr, 0, &length) != napi_ok)
    return false;
  text.resize(length + 1);
  napi_get_value_string_utf8(env, values[next++], &text[0], length + 1, &length);
  text.resize(length);
  return true;
}

}  // namespace qdylora
