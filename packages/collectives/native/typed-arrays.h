// Typed arrays of JavaScript, as collectives read and write them.
#pragma once
#include <node_api.h>

#include <cstddef>

namespace qdylora {

enum class Element { F32, F64, I32, U8 };
enum class Reduction { Sum, Max, Min };

/** Elements of a typed array, as they lie in memory. */
struct Elements {
  char* data = nullptr;
  size_t count = 0;
  size_t bytesEach = 0;
  Element element = Element::U8;

  size_t byteLength() const { return count * bytesEach; }
};

inline bool readElements(napi_env env, napi_value array, Elements& elements) {
  constexpr struct {
    napi_typedarray_type type;
    Element element;
    size_t bytesEach;
  } KINDS[] = {
      {napi_float32_array, Element::F32, 4},
      {napi_float64_array, Element::F64, 8},
      {napi_int32_array, Element::I32, 4},
      {napi_uint8_array, Element::U8, 1},
  };
  napi_typedarray_type type;
  void* data;
  napi_value buffer;
  size_t offset;
  if (napi_get_typedarray_info(env, array, &type, &elements.count, &data, &buffer, &offset) != napi_ok)
    return false;
  elements.data = static_cast<char*>(data);
  for (const auto& kind : KINDS) {
    if (kind.type != type) continue;
    elements.element = kind.element;
    elements.bytesEach = kind.bytesEach;
    return true;
  }
  return false;
}

}  // namespace qdylora
