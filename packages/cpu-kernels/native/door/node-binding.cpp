#include "node-binding.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <memory>

#include "guarded-end.h"

namespace qdylora {
namespace {

struct Bound {
  const KernelEntry* entry;
  Instance* instance;
  int argumentCount;
};

const char* kindText(std::uint16_t kind) {
  switch (kind & ~KIND_OPTIONAL) {
    case KIND_F32:
      return "a Float32Array";
    case KIND_BF16:
      return "a Uint16Array (bf16)";
    case KIND_F32 | KIND_BF16:
      return "a Float32Array or a Uint16Array (bf16)";
    case KIND_I32:
      return "an Int32Array";
    case KIND_U8:
      return "a Uint8Array";
    case KIND_SIZE:
      return "a whole number >= 0";
    case KIND_U32:
      return "a whole number of 32 bits";
    case KIND_BOOL:
      return "a boolean";
    default:
      return "a number";
  }
}

ElementType elementType(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array:
      return ElementType::f32;
    case napi_uint16_array:
      return ElementType::bf16;
    case napi_int32_array:
      return ElementType::i32;
    case napi_uint8_array:
      return ElementType::u8;
    default:
      return ElementType::none;
  }
}

std::uint16_t kindOf(ElementType type) {
  switch (type) {
    case ElementType::f32:
      return KIND_F32;
    case ElementType::bf16:
      return KIND_BF16;
    case ElementType::i32:
      return KIND_I32;
    case ElementType::u8:
      return KIND_U8;
    default:
      return 0;
  }
}

// The address of an empty array, for which JavaScript has none: a kernel recognises an array that is left out
// by its null pointer, and the element type by which pointer is set.
alignas(64) char nowhere[1];

size_t elementBytes(ElementType type) {
  return type == ElementType::u8 ? 1 : type == ElementType::bf16 ? 2 : 4;
}

bool readArray(napi_env env, napi_value value, std::uint16_t kind, Argument& out, GuardedEnd& end) {
  napi_typedarray_type type;
  napi_value buffer;
  size_t offset;
  if (napi_get_typedarray_info(env, value, &type, &out.length, &out.data, &buffer, &offset) == napi_ok) {
    out.type = elementType(type);
    if (!(kindOf(out.type) & kind)) return false;
    if (!out.data) out.data = nowhere;
    end.guard(env, buffer, offset, out.length * elementBytes(out.type));
    return true;
  }
  napi_valuetype valueType;
  if (!(kind & KIND_OPTIONAL) || napi_typeof(env, value, &valueType) != napi_ok ||
      valueType != napi_undefined)
    return false;
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

// What JavaScript calls the argument of a kernel at `position`.
struct ArgumentName {
  char text[64];
};
ArgumentName nameOf(const KernelEntry& entry, int position) {
  ArgumentName name;
  int number = 0;  // of the JavaScript parameter, the first is 1
  for (int at = 0, list = 0; at <= position; at++) {
    if (entry.kinds[at] == KIND_THREADS) continue;
    number++;
    if (list == entry.listCount || at != entry.lists[list].first) continue;
    const ListShape& shape = entry.lists[list++];
    const int field = position - at - 1;
    at += shape.most * shape.width;
    if (field < 0 || position > at) continue;
    std::snprintf(name.text, sizeof name.text, "`%s` of record %d in argument %d",
                  shape.names[field % shape.width], field / shape.width, number);
    return name;
  }
  std::snprintf(name.text, sizeof name.text, "argument %d", number);
  return name;
}

napi_value report(napi_env env, const KernelEntry& entry, const Argument* arguments, const Status& status) {
  if (status.code == Status::TOO_SHORT && status.expected == MORE_THAN_ANY) {
    throwNative(env, "%s: %s would need more elements than memory can hold", entry.name,
                nameOf(entry, status.argument).text);
  } else if (status.code == Status::TOO_SHORT) {
    throwNative(env, "%s: %s must have at least %zu elements (got %zu)", entry.name,
                nameOf(entry, status.argument).text, status.expected, arguments[status.argument].length);
  } else if (status.code == Status::BAD_DATA) {
    char message[512];
    std::snprintf(message, sizeof message, "%s: %s (got %d at position %zu)", entry.name, status.problem,
                  status.entry, status.place);
    napi_throw_type_error(env, "BAD_DATA", message);
  } else {
    throwNative(env, "%s: %s", entry.name, status.problem);
  }
  return nullptr;
}

napi_value callKernel(napi_env env, napi_callback_info info) {
  napi_value values[MAX_ARGUMENTS];
  Argument arguments[MAX_ARGUMENTS];
  GuardedEnd ends[MAX_ARGUMENTS];
  size_t count = MAX_ARGUMENTS;
  void* data;
  if (napi_get_cb_info(env, info, &count, values, nullptr, &data) != napi_ok) return nullptr;
  const Bound& bound = *static_cast<Bound*>(data);
  const KernelEntry& entry = *bound.entry;
  if (!bound.instance->threads) {
    throwNative(env, "%s: the backend is disposed", entry.name);
    return nullptr;
  }
  if (static_cast<int>(count) != bound.argumentCount) {
    throwNative(env, "%s: it takes %d arguments (got %zu)", entry.name, bound.argumentCount, count);
    return nullptr;
  }
  for (int i = 0, at = 0; i < entry.argumentCount; i++) {
    const std::uint16_t kind = entry.kinds[i];
    if (kind == KIND_THREADS) continue;  // not an argument of the JavaScript function
    const bool fits = kind & KIND_ARRAY ? readArray(env, values[at], kind, arguments[i], ends[i])
                                        : readNumber(env, values[at], kind, arguments[i]);
    if (!fits) {
      throwNative(env, "%s: %s must be %s%s", entry.name, nameOf(entry, i).text, kindText(kind),
                  kind & KIND_OPTIONAL ? " or undefined" : "");
      return nullptr;
    }
    at++;
  }
  for (int i = 0; i < entry.listCount; i++) {
    const ListShape& list = entry.lists[i];
    if (arguments[list.first].number <= list.most) continue;
    throwNative(env, "%s: %s has %.0f records, but it may have %d at most", entry.name,
                nameOf(entry, list.first).text, arguments[list.first].number, list.most);
    return nullptr;
  }
  double number = 0;
  const Status status = entry.invoke(*bound.instance->threads, arguments, &number);
  if (status.code != Status::OK) return report(env, entry, arguments, status);
  if (bound.instance->recording && !entry.returnsNumber) bound.instance->recording->add(entry, arguments);
  napi_value result = nullptr;
  if (entry.returnsNumber) napi_create_double(env, number, &result);
  return result;
}

// The instance of a function that takes `count` numbers, at most 3. Null, with a pending exception, where the
// arguments are anything else.
Instance* instanceOf(napi_env env, napi_callback_info info, const char* name, size_t count,
                     std::size_t* numbers) {
  napi_value values[3];
  size_t argumentCount = 3;
  void* data = nullptr;
  bool fits = napi_get_cb_info(env, info, &argumentCount, values, nullptr, &data) == napi_ok &&
              argumentCount == count;
  for (size_t i = 0; fits && i < count; i++) {
    Argument number;
    fits = readNumber(env, values[i], KIND_SIZE, number);
    numbers[i] = static_cast<std::size_t>(number.number);
  }
  if (!fits) throwNative(env, "%s: it takes %zu whole numbers >= 0", name, count);
  return fits ? static_cast<Instance*>(data) : nullptr;
}

// The same where the backend has to be live.
Instance* liveInstance(napi_env env, napi_callback_info info, const char* name, size_t count,
                       std::size_t* numbers) {
  Instance* instance = instanceOf(env, info, name, count, numbers);
  if (!instance || instance->threads) return instance;
  throwNative(env, "%s: the backend is disposed", name);
  return nullptr;
}

Program* programOf(napi_env env, const Instance& instance, const char* name, std::size_t number) {
  Program* program = number < instance.programs.size() ? instance.programs[number].get() : nullptr;
  if (!program) throwNative(env, "%s: there is no program %zu", name, number);
  return program;
}

// createProgram() → its number
napi_value createProgram(napi_env env, napi_callback_info info) {
  Instance* instance = liveInstance(env, info, "createProgram", 0, nullptr);
  napi_value number = nullptr;
  if (!instance) return nullptr;
  std::size_t at = 0;
  while (at < instance->programs.size() && instance->programs[at]) at++;
  if (at == instance->programs.size()) instance->programs.emplace_back();
  instance->programs[at] = std::make_unique<Program>();
  napi_create_double(env, static_cast<double>(at), &number);
  return number;
}

// startRecording(program): kernels are added to it until stopRecording.
napi_value startRecording(napi_env env, napi_callback_info info) {
  std::size_t number;
  Instance* instance = liveInstance(env, info, "startRecording", 1, &number);
  if (Program* program = instance ? programOf(env, *instance, "startRecording", number) : nullptr)
    instance->recording = program;
  return nullptr;
}

// stopRecording() → calls of the program so far
napi_value stopRecording(napi_env env, napi_callback_info info) {
  Instance* instance = liveInstance(env, info, "stopRecording", 0, nullptr);
  napi_value calls = nullptr;
  if (!instance) return nullptr;
  napi_create_double(env, instance->recording ? static_cast<double>(instance->recording->calls()) : 0,
                     &calls);
  instance->recording = nullptr;
  return calls;
}

// replay(program, from, to)
napi_value replay(napi_env env, napi_callback_info info) {
  std::size_t numbers[3];
  Instance* instance = liveInstance(env, info, "replay", 3, numbers);
  Program* program = instance ? programOf(env, *instance, "replay", numbers[0]) : nullptr;
  if (!program) return nullptr;
  if (numbers[1] > numbers[2] || numbers[2] > program->calls()) {
    throwNative(env, "replay: the calls %zu..%zu are not within 0..%zu", numbers[1], numbers[2],
                program->calls());
    return nullptr;
  }
  Program::Failure failed;
  const Status status = program->run(*instance->threads, numbers[1], numbers[2], &failed);
  return status.code == Status::OK ? nullptr : report(env, *failed.entry, failed.arguments, status);
}

// dropProgram(program); one that is gone already, with its backend, is ignored.
napi_value dropProgram(napi_env env, napi_callback_info info) {
  std::size_t number;
  Instance* instance = instanceOf(env, info, "dropProgram", 1, &number);
  if (!instance || number >= instance->programs.size()) return nullptr;
  if (instance->recording == instance->programs[number].get()) instance->recording = nullptr;
  instance->programs[number] = nullptr;
  return nullptr;
}

// The value that fills a field where a list is shorter: undefined for an array, else 0 or false.
napi_status emptyValue(napi_env env, std::uint16_t kind, napi_value* result) {
  if (kind & KIND_ARRAY) return napi_get_undefined(env, result);
  return kind == KIND_BOOL ? napi_get_boolean(env, false, result) : napi_create_double(env, 0, result);
}

// { name, empty } of each field of a list's records
bool describeFields(napi_env env, const KernelEntry& entry, const ListShape& list, napi_value* fields) {
  if (napi_create_array(env, fields) != napi_ok) return false;
  for (int i = 0; i < list.width; i++) {
    napi_value field;
    napi_value name;
    napi_value empty;
    if (napi_create_object(env, &field) != napi_ok ||
        napi_create_string_utf8(env, list.names[i], NAPI_AUTO_LENGTH, &name) != napi_ok ||
        emptyValue(env, entry.kinds[list.first + 1 + i], &empty) != napi_ok ||
        napi_set_named_property(env, field, "name", name) != napi_ok ||
        napi_set_named_property(env, field, "empty", empty) != napi_ok ||
        napi_set_element(env, *fields, static_cast<std::uint32_t>(i), field) != napi_ok)
      return false;
  }
  return true;
}

// Gives the function of a kernel that takes lists a property `lists`: { most, fields } of each, in order.
// src/addon/flatten-arguments.ts makes the arguments by it.
bool describeLists(napi_env env, const KernelEntry& entry, napi_value function) {
  napi_value lists;
  if (entry.listCount == 0) return true;
  if (napi_create_array(env, &lists) != napi_ok) return false;
  for (int i = 0; i < entry.listCount; i++) {
    napi_value list;
    napi_value most;
    napi_value fields;
    if (napi_create_object(env, &list) != napi_ok ||
        napi_create_int32(env, entry.lists[i].most, &most) != napi_ok ||
        !describeFields(env, entry, entry.lists[i], &fields) ||
        napi_set_named_property(env, list, "most", most) != napi_ok ||
        napi_set_named_property(env, list, "fields", fields) != napi_ok ||
        napi_set_element(env, lists, static_cast<std::uint32_t>(i), list) != napi_ok)
      return false;
  }
  return napi_set_named_property(env, function, "lists", lists) == napi_ok;
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

bool addFunctions(napi_env env, napi_value target, std::initializer_list<NamedFunction> functions,
                  void* data) {
  for (const NamedFunction& function : functions) {
    napi_value value;
    if (napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.call, data, &value) != napi_ok ||
        napi_set_named_property(env, target, function.name, value) != napi_ok)
      return false;
  }
  return true;
}

bool bindKernels(napi_env env, napi_value target, const KernelEntry* const* kernels, int count,
                 Instance* instance) {
  for (int i = 0; i < count; i++) {
    auto bound = std::make_unique<Bound>(Bound{kernels[i], instance, 0});
    for (int k = 0; k < kernels[i]->argumentCount; k++)
      bound->argumentCount += kernels[i]->kinds[k] != KIND_THREADS;
    napi_value function;
    const auto destroy = [](napi_env, void* data, void*) { delete static_cast<Bound*>(data); };
    if (napi_create_function(env, kernels[i]->name, NAPI_AUTO_LENGTH, callKernel, bound.get(), &function) !=
            napi_ok ||
        napi_add_finalizer(env, function, bound.get(), destroy, nullptr, nullptr) != napi_ok)
      return false;
    bound.release();
    if (!describeLists(env, *kernels[i], function) ||
        napi_set_named_property(env, target, kernels[i]->name, function) != napi_ok)
      return false;
  }
  return true;
}

bool bindPrograms(napi_env env, napi_value target, Instance* instance) {
  return addFunctions(env, target,
                      {{"createProgram", createProgram},
                       {"startRecording", startRecording},
                       {"stopRecording", stopRecording},
                       {"replay", replay},
                       {"dropProgram", dropProgram}},
                      instance);
}

}  // namespace qdylora
