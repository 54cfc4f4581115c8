// The emulator's door to Node: load(ptx) → module, run(module, launch) → number of instructions. A report
// becomes a JavaScript error with its text.
#include <cstring>
#include <node_api.h>
#include "block.h"

namespace emulator {
namespace {

// Reads values of JavaScript; any failure is a report.
class Reader {
 public:
  explicit Reader(napi_env env) : env(env) {}

  napi_value property(napi_value object, const char* name) const {
    napi_value value;
    need(napi_get_named_property(env, object, name, &value));
    return value;
  }
  napi_value element(napi_value array, std::uint32_t index) const {
    napi_value value;
    need(napi_get_element(env, array, index, &value));
    return value;
  }
  std::uint32_t length(napi_value array) const {
    std::uint32_t length;
    need(napi_get_array_length(env, array, &length));
    return length;
  }
  double number(napi_value value) const {
    double result;
    need(napi_get_value_double(env, value, &result));
    return result;
  }
  std::string text(napi_value value) const {
    std::size_t length;
    need(napi_get_value_string_utf8(env, value, nullptr, 0, &length));
    std::string result(length + 1, '\0');
    need(napi_get_value_string_utf8(env, value, &result[0], length + 1, &length));
    result.resize(length);
    return result;
  }
  std::uint8_t* bytes(napi_value value, std::size_t& length, std::size_t& offset) const {
    napi_typedarray_type type;
    void* data;
    napi_value buffer;
    need(napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset));
    if (type != napi_uint8_array) throw Report("an array of a launch must be given as bytes");
    return static_cast<std::uint8_t*>(data);
  }
  bool isUndefined(napi_value value) const {
    napi_valuetype type;
    need(napi_typeof(env, value, &type));
    return type == napi_undefined;
  }
  void need(napi_status status) const {
    if (status != napi_ok) throw Report("a value of the launch is missing or of another kind");
  }

 private:
  napi_env env;
};

// Adds the array to the launch and returns its address. Two arguments on the same bytes get one address.
std::uint64_t addArray(const Reader& reader, napi_value value, std::size_t index, bool isWritable,
                       Launch& launch) {
  std::size_t size, offset, flags, unused;
  std::uint8_t* bytes = reader.bytes(reader.property(value, "bytes"), size, offset);
  std::uint8_t* written = reader.bytes(reader.property(value, "written"), flags, unused);
  const std::size_t granule = static_cast<std::size_t>(reader.number(reader.property(value, "elementBytes")));
  if (flags != size) throw Report("an array of a launch needs one flag for each byte");
  for (Area& array : launch.arrays) {
    if (size == 0 || array.bytes != bytes) continue;
    array.isWritable |= isWritable;
    if (isWritable) array.shadows.resize((size + granule - 1) / granule);
    return array.base;
  }
  Area array;
  array.name = "argument " + std::to_string(index);
  array.base = ARRAY_WINDOW * (launch.arrays.size() + 1) + offset % 256;
  array.bytes = bytes;
  array.written = written;
  array.size = size;
  array.granule = granule;
  array.isWritable = isWritable;
  if (isWritable) array.shadows.resize((size + granule - 1) / granule);
  launch.arrays.push_back(std::move(array));
  return launch.arrays.back().base;
}

template <class Value>
void store(std::vector<std::uint8_t>& parameters, std::size_t offset, Value value) {
  std::memcpy(parameters.data() + offset, &value, sizeof value);
}

// The type that a binding names, as PTX has it. i32 and u32 are one type there.
Type typeOf(const std::string& name) {
  Type type;
  if (name == "input" || name == "output") return {Kind::unsignedInteger, 8};
  if (!parseType(name[0] == 'i' ? "s" + name.substr(1) : name, type))
    throw Report("the emulator does not know arguments of the type " + name);
  return type;
}

void setParameter(const Reader& reader, napi_value value, std::size_t index, Launch& launch) {
  const Parameter& parameter = launch.kernel->parameters[index];
  const std::string name = reader.text(reader.property(value, "type"));
  const Type type = typeOf(name);
  if (type.bytes != parameter.type.bytes || type.isFloat() != parameter.type.isFloat())
    throw Report(launch.kernel->name + ": argument " + std::to_string(index) + " has another type than " +
                 name);
  if (name == "input" || name == "output")
    return store(launch.parameters, parameter.offset,
                 addArray(reader, value, index, name == "output", launch));
  const double number = reader.number(reader.property(value, "value"));
  if (type.isFloat() && type.bytes == 8) return store(launch.parameters, parameter.offset, number);
  if (type.isFloat()) return store(launch.parameters, parameter.offset, static_cast<float>(number));
  const std::int64_t integer = static_cast<std::int64_t>(number);
  if (static_cast<double>(integer) != number)
    throw Report(launch.kernel->name + ": argument " + std::to_string(index) + " must be a whole number");
  if (type.bytes == 8) return store(launch.parameters, parameter.offset, integer);
  store(launch.parameters, parameter.offset, static_cast<std::uint32_t>(integer));
}

void readSizes(const Reader& reader, napi_value list, unsigned (&sizes)[3]) {
  for (std::uint32_t k = 0; k < 3; k++)
    sizes[k] = static_cast<unsigned>(reader.number(reader.element(list, k)));
}

// The flags of `taken`, or null where the launch has none.
std::uint8_t* takenFlags(const Reader& reader, napi_value value, const Kernel& kernel) {
  const napi_value taken = reader.property(value, "taken");
  if (reader.isUndefined(taken)) return nullptr;
  std::size_t length, unused;
  std::uint8_t* flags = reader.bytes(taken, length, unused);
  if (length != static_cast<std::size_t>(kernel.branches))
    throw Report(kernel.name + " has " + std::to_string(kernel.branches) +
                 " conditional branches: `taken` needs a flag for each");
  return flags;
}

Launch readLaunch(const Reader& reader, const Module& module, napi_value value) {
  Launch launch;
  const std::string name = reader.text(reader.property(value, "kernel"));
  for (const Kernel& kernel : module.kernels)
    if (kernel.name == name) launch.kernel = &kernel;
  if (!launch.kernel) throw Report("the module has no kernel " + name);
  readSizes(reader, reader.property(value, "grid"), launch.grid);
  readSizes(reader, reader.property(value, "block"), launch.block);
  const std::uint64_t threads =
      static_cast<std::uint64_t>(launch.block[0]) * launch.block[1] * launch.block[2];
  if (threads == 0 || threads > 1024) throw Report(name + ": a block has 1 to 1024 threads");
  launch.seed = static_cast<std::uint64_t>(reader.number(reader.property(value, "seed")));
  launch.approximation = static_cast<int>(reader.number(reader.property(value, "approximation")));
  launch.mostInstructions =
      static_cast<std::uint64_t>(reader.number(reader.property(value, "mostInstructions")));
  const napi_value list = reader.property(value, "arguments");
  if (reader.length(list) != launch.kernel->parameters.size())
    throw Report(name + " takes " + std::to_string(launch.kernel->parameters.size()) + " arguments, not " +
                 std::to_string(reader.length(list)));
  launch.taken = takenFlags(reader, value, *launch.kernel);
  launch.parameters.assign(launch.kernel->parameterBytes, 0);
  for (std::uint32_t k = 0; k < reader.length(list); k++)
    setParameter(reader, reader.element(list, k), k, launch);
  return launch;
}

template <class Body>
napi_value guarded(napi_env env, const Body& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    napi_throw_error(env, "EMULATOR_REPORT", error.what());
    return nullptr;
  }
}

// Bytes of a module, nearly all of which are instructions.
std::int64_t sizeOf(const Module& module) {
  std::size_t count = 0;
  for (const Kernel& kernel : module.kernels) count += kernel.code.size();
  return static_cast<std::int64_t>(count * sizeof(Instruction));
}

napi_value load(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    std::size_t count = 1;
    napi_value text, result;
    napi_get_cb_info(env, info, &count, &text, nullptr, nullptr);
    auto* module = new Module(parseModule(Reader(env).text(text)));
    // Else thousands of mutants wait for a collection.
    std::int64_t unused;
    napi_adjust_external_memory(env, sizeOf(*module), &unused);
    const auto release = [](napi_env env, void* data, void*) {
      std::int64_t unused;
      napi_adjust_external_memory(env, -sizeOf(*static_cast<Module*>(data)), &unused);
      delete static_cast<Module*>(data);
    };
    napi_create_external(env, module, release, nullptr, &result);
    return result;
  });
}

napi_value runLaunch(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    std::size_t count = 2;
    napi_value values[2], result;
    void* module = nullptr;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    Reader(env).need(napi_get_value_external(env, values[0], &module));
    Launch launch = readLaunch(Reader(env), *static_cast<const Module*>(module), values[1]);
    napi_create_double(env, static_cast<double>(run(launch)), &result);
    return result;
  });
}

napi_value initialize(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "load", NAPI_AUTO_LENGTH, load, nullptr, &function);
  napi_set_named_property(env, exports, "load", function);
  napi_create_function(env, "run", NAPI_AUTO_LENGTH, runLaunch, nullptr, &function);
  napi_set_named_property(env, exports, "run", function);
  return exports;
}

}  // namespace
}  // namespace emulator

NAPI_MODULE(qdylora_emulator, emulator::initialize)
