// The addon's door to Node: open(path) → an object with the driver's calls by name. A call throws an error
// with `call` and `result` where the driver returns anything but 0.
#include <node_api.h>
#include <sched.h>

#include <cstring>
#include <memory>
#include <vector>

#include "bind-call.h"
#include "cublas.h"

namespace qdylora {
namespace {

// A driver, the libraries beside it, and what their functions point to.
struct OpenDriver {
  Driver driver;
  std::vector<std::unique_ptr<Cublas>> cublas;
  std::vector<std::unique_ptr<Entry>> entries;
};

// Everything that one environment (a main thread, a worker thread) has opened; ends with it.
struct Environment {
  std::vector<std::unique_ptr<OpenDriver>> drivers;
};

struct Call {
  ArgumentReader reader;
  Driver& driver;

  static Call begin(napi_env env, napi_callback_info info) {
    void* data = nullptr;
    ArgumentReader reader{env, {}};
    napi_get_cb_info(env, info, &reader.count, reader.values, nullptr, &data);
    return {reader, *static_cast<Driver*>(data)};
  }
};

// setContext(context): the one that all further calls run in; 0 for none
napi_value setContext(napi_env env, napi_callback_info info) {
  Call call = Call::begin(env, info);
  std::uint64_t context = 0;
  if (!call.reader.readNumber(context)) return throwWrongCall(env, "setContext");
  call.driver.context = reinterpret_cast<Context>(context);
  return nullptr;
}

// cuDeviceGetName(device) → its name
napi_value getDeviceName(napi_env env, napi_callback_info info) {
  Call call = Call::begin(env, info);
  Device device = 0;
  char name[256] = "";
  if (!call.reader.readNumber(device)) return throwWrongCall(env, "cuDeviceGetName");
  if (const Result result = call.driver.calls.cuDeviceGetName(name, sizeof name, device))
    return throwFailure(env, call.driver, "cuDeviceGetName", result);
  napi_value text = nullptr;
  napi_create_string_utf8(env, name, strnlen(name, sizeof name), &text);
  return text;
}

// cuLaunchKernel(function, blocks, threads, sharedBytes, stream, arguments, bytes): `bytes` of the packed
// arguments in a Uint8Array
napi_value launchKernel(napi_env env, napi_callback_info info) {
  Call call = Call::begin(env, info);
  ArgumentReader& reader = call.reader;
  std::uint64_t function = 0;
  std::uint64_t stream = 0;
  unsigned blocks = 0;
  unsigned threads = 0;
  unsigned sharedBytes = 0;
  const void* arguments = nullptr;
  std::size_t capacity = 0;
  std::size_t bytes = 0;
  if (!reader.readNumber(function) || !reader.readNumber(blocks) || !reader.readNumber(threads) ||
      !reader.readNumber(sharedBytes) || !reader.readNumber(stream) ||
      !reader.readBytes(arguments, capacity) || !reader.readNumber(bytes) || bytes > capacity)
    return throwWrongCall(env, "cuLaunchKernel");
  if (const Result result = call.driver.enter())
    return throwFailure(env, call.driver, "cuCtxSetCurrent", result);
  void* extra[] = {reinterpret_cast<void*>(LAUNCH_PARAM_BUFFER_POINTER), const_cast<void*>(arguments),
                   reinterpret_cast<void*>(LAUNCH_PARAM_BUFFER_SIZE), &bytes,
                   reinterpret_cast<void*>(LAUNCH_PARAM_END)};
  if (const Result result =
          call.driver.calls.cuLaunchKernel(reinterpret_cast<Function>(function), blocks, 1, 1, threads, 1, 1,
                                           sharedBytes, reinterpret_cast<Stream>(stream), nullptr, extra))
    return throwFailure(env, call.driver, "cuLaunchKernel", result);
  return nullptr;
}

// copyToPinned(address, bytes) and copyFromPinned(bytes, address): between a Uint8Array and pinned memory
napi_value copyToPinned(napi_env env, napi_callback_info info) {
  Call call = Call::begin(env, info);
  HostAddress address = 0;
  const void* data = nullptr;
  std::size_t bytes = 0;
  if (!call.reader.readNumber(address) || !call.reader.readBytes(data, bytes))
    return throwWrongCall(env, "copyToPinned");
  if (bytes > 0) std::memcpy(reinterpret_cast<void*>(address), data, bytes);
  return nullptr;
}

napi_value copyFromPinned(napi_env env, napi_callback_info info) {
  Call call = Call::begin(env, info);
  HostAddress address = 0;
  const void* data = nullptr;
  std::size_t bytes = 0;
  if (!call.reader.readBytes(data, bytes) || !call.reader.readNumber(address))
    return throwWrongCall(env, "copyFromPinned");
  if (bytes > 0) std::memcpy(const_cast<void*>(data), reinterpret_cast<const void*>(address), bytes);
  return nullptr;
}

// A thread of Node's pool that waits for an event, and the promise that ends with it.
struct Wait {
  Driver* driver;
  Event event;
  Result result = 0;
  const char* failed = "cuEventSynchronize";
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
};

void executeWait(napi_env, void* data) {
  auto* wait = static_cast<Wait*>(data);
  wait->result = wait->driver->enter();
  if (wait->result)
    wait->failed = "cuCtxSetCurrent";
  else
    wait->result = wait->driver->calls.cuEventSynchronize(wait->event);
  wait->driver->waits--;
}

void completeWait(napi_env env, napi_status status, void* data) {
  std::unique_ptr<Wait> wait(static_cast<Wait*>(data));
  if (status == napi_cancelled) wait->driver->waits--;
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  if (wait->result)
    napi_reject_deferred(env, wait->deferred, makeFailure(env, *wait->driver, wait->failed, wait->result));
  else
    napi_resolve_deferred(env, wait->deferred, value);
  napi_delete_async_work(env, wait->work);
}

// whenDone(event) → a promise that ends when the event has happened
napi_value whenDone(napi_env env, napi_callback_info info) {
  Call call = Call::begin(env, info);
  std::uint64_t event = 0;
  if (!call.reader.readNumber(event)) return throwWrongCall(env, "whenDone");
  auto wait = std::make_unique<Wait>(Wait{&call.driver, reinterpret_cast<Event>(event)});
  napi_value promise = nullptr;
  napi_value name = nullptr;
  napi_create_string_utf8(env, "qdylora:cuda", NAPI_AUTO_LENGTH, &name);
  if (napi_create_promise(env, &wait->deferred, &promise) != napi_ok ||
      napi_create_async_work(env, nullptr, name, executeWait, completeWait, wait.get(), &wait->work) !=
          napi_ok)
    return nullptr;
  call.driver.waits++;
  if (napi_queue_async_work(env, wait->work) != napi_ok) {
    call.driver.waits--;
    return nullptr;
  }
  wait.release();
  return promise;
}

// endWaits(): returns when no thread waits any more. Call it when all work has ended or failed: the waits end
// by themselves then, and events and the context may be destroyed afterwards.
napi_value endWaits(napi_env env, napi_callback_info info) {
  Call call = Call::begin(env, info);
  while (call.driver.waits.load() > 0) sched_yield();
  return nullptr;
}

void setText(napi_env env, napi_value object, const char* name, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.c_str(), text.size(), &value);
  napi_set_named_property(env, object, name, value);
}

bool addCublasCalls(napi_env env, napi_value object, OpenDriver& open, const CublasCalls& calls) {
#define QD_BIND(name, parameters)                                                                            \
  open.entries.push_back(                                                                                    \
      std::make_unique<Entry>(Entry{&open.driver, #name, reinterpret_cast<void (*)()>(calls.name), false})); \
  if (!addFunction(env, object, #name, Bound<decltype(calls.name)>::invoke, open.entries.back().get()))      \
    return false;
  QD_CUBLAS_CALLS(QD_BIND)
#undef QD_BIND
  return true;
}

// openCublas(path) → { failure, missing, version, … }: as `open` does it for the driver
napi_value openCublas(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  ArgumentReader reader{env, {}};
  std::string path;
  napi_get_cb_info(env, info, &reader.count, reader.values, nullptr, &data);
  if (!reader.readText(path)) return throwWrongCall(env, "openCublas");
  auto& open = *static_cast<OpenDriver*>(data);
  auto cublas = std::make_unique<Cublas>();
  const std::string failure = cublas->open(path.c_str());
  napi_value result = nullptr;
  if (napi_create_object(env, &result) != napi_ok) return nullptr;
  setText(env, result, "failure", failure);
  setText(env, result, "missing", cublas->missing());
  if (!failure.empty() || !cublas->missing().empty()) return result;
  napi_value version = nullptr;
  napi_create_double(env, static_cast<double>(cublas->calls.cublasLtGetVersion()), &version);
  napi_set_named_property(env, result, "version", version);
  if (!addCublasCalls(env, result, open, cublas->calls)) return nullptr;
  open.cublas.push_back(std::move(cublas));
  return result;
}

bool addCalls(napi_env env, napi_value object, OpenDriver& open) {
#define QD_BIND(name, symbol, parameters)                                                 \
  open.entries.push_back(std::make_unique<Entry>(                                         \
      Entry{&open.driver, #name, reinterpret_cast<void (*)()>(open.driver.calls.name)})); \
  if (!addFunction(env, object, #name, Bound<decltype(open.driver.calls.name)>::invoke,   \
                   open.entries.back().get()))                                            \
    return false;
  QD_DRIVER_CALLS(QD_BIND)
#undef QD_BIND
  const struct {
    const char* name;
    napi_callback callback;
  } OTHERS[] = {
      {"setContext", setContext},     {"cuDeviceGetName", getDeviceName}, {"cuLaunchKernel", launchKernel},
      {"copyToPinned", copyToPinned}, {"copyFromPinned", copyFromPinned}, {"whenDone", whenDone},
      {"endWaits", endWaits}};
  for (const auto& other : OTHERS)
    if (!addFunction(env, object, other.name, other.callback, &open.driver)) return false;
  return addFunction(env, object, "openCublas", openCublas, &open);
}

// open(path) → { failure, missing, … }: `failure` is '' or why the library cannot be opened; `missing` lists
// symbols that it lacks, and the driver's calls are there only where it lacks none
napi_value open(napi_env env, napi_callback_info info) {
  ArgumentReader reader{env, {}};
  std::string path;
  void* data = nullptr;
  napi_value result = nullptr;
  napi_get_cb_info(env, info, &reader.count, reader.values, nullptr, nullptr);
  if (!reader.readText(path)) return throwWrongCall(env, "open");
  if (napi_get_instance_data(env, &data) != napi_ok || !data) return throwWrongCall(env, "open");
  auto opened = std::make_unique<OpenDriver>();
  const std::string failure = opened->driver.open(path.c_str());
  if (napi_create_object(env, &result) != napi_ok) return nullptr;
  setText(env, result, "failure", failure);
  setText(env, result, "missing", opened->driver.missing());
  if (!failure.empty() || !opened->driver.missing().empty()) return result;
  if (!addCalls(env, result, *opened)) return nullptr;
  static_cast<Environment*>(data)->drivers.push_back(std::move(opened));
  return result;
}

napi_value initialise(napi_env env, napi_value exports) {
  const auto destroy = [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); };
  if (napi_set_instance_data(env, new Environment, destroy, nullptr) != napi_ok) return nullptr;
  if (!addFunction(env, exports, "open", open, nullptr)) return nullptr;
  return exports;
}

}  // namespace
}  // namespace qdylora

NAPI_MODULE_INIT() { return qdylora::initialise(env, exports); }
