// The Node-API addon of @qdylora/collectives: `open`, then collectives that run on a thread of libuv's pool
// and settle a promise. The caller starts one at a time (`MPI_THREAD_SERIALIZED`).
#include <node_api.h>

#include <cstdio>
#include <cstring>

#include "mpi-library.h"

namespace {

using qdylora::Abi;
using qdylora::Element;
using qdylora::MpiLibrary;
using qdylora::Reduction;

constexpr int MESSAGE_SIZE = 512;
constexpr int VERSION_SIZE = 8192;
/** MPI counts in ints. */
constexpr size_t LARGEST_COUNT = size_t{1} << 30;

const MpiLibrary* mpi = nullptr;

napi_value throwError(napi_env env, const char* message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

napi_value throwCode(napi_env env, int code) {
  char message[MESSAGE_SIZE];
  mpi->message(code, message);
  return throwError(env, message);
}

/** Elements of a typed array, as they lie in memory. */
struct Elements {
  char* data = nullptr;
  size_t count = 0;
  size_t bytesEach = 0;
  Element element = Element::U8;
};

struct ArrayKind {
  napi_typedarray_type type;
  Element element;
  size_t bytesEach;
};

constexpr ArrayKind ARRAY_KINDS[] = {
    {napi_float32_array, Element::F32, 4},
    {napi_float64_array, Element::F64, 8},
    {napi_int32_array, Element::I32, 4},
    {napi_uint8_array, Element::U8, 1},
};

bool readElements(napi_env env, napi_value array, Elements& elements) {
  napi_typedarray_type type;
  void* data;
  napi_value buffer;
  size_t offset;
  if (napi_get_typedarray_info(env, array, &type, &elements.count, &data, &buffer, &offset) != napi_ok)
    return false;
  elements.data = static_cast<char*>(data);
  for (const ArrayKind& kind : ARRAY_KINDS) {
    if (kind.type != type) continue;
    elements.element = kind.element;
    elements.bytesEach = kind.bytesEach;
    return true;
  }
  return false;
}

enum class Call { AllReduce, Broadcast, AllGather, AllToAll, Barrier };

/** A collective under way. */
struct Work {
  Call call;
  Elements source = {};
  Elements target = {};
  /** The reduction, or the root of a broadcast. */
  int argument = 0;
  int size = 1;
  int code = 0;
  napi_async_work handle = nullptr;
  napi_deferred promise = nullptr;
  napi_ref arrays[2] = {nullptr, nullptr};
};

/** Calls `part(elements from, count)` for parts that MPI can count. */
template <class Part>
int inParts(size_t count, Part part) {
  for (size_t from = 0; from < count; from += LARGEST_COUNT) {
    const size_t left = count - from;
    const int code = part(from, static_cast<int>(left < LARGEST_COUNT ? left : LARGEST_COUNT));
    if (code != 0) return code;
  }
  return 0;
}

int run(const Work& work) {
  const Elements& source = work.source;
  switch (work.call) {
    case Call::AllReduce:
      return inParts(source.count, [&](size_t from, int count) {
        return mpi->allReduce(source.data + from * source.bytesEach, count, source.element,
                              static_cast<Reduction>(work.argument));
      });
    case Call::Broadcast:
      return inParts(source.count, [&](size_t from, int count) {
        return mpi->broadcast(source.data + from * source.bytesEach, count, source.element, work.argument);
      });
    case Call::AllGather:
      return mpi->allGather(source.data, work.target.data, static_cast<int>(source.count), source.element);
    case Call::AllToAll:
      return mpi->allToAll(source.data, work.target.data, static_cast<int>(source.count / work.size),
                           source.element);
    case Call::Barrier:
      return mpi->barrier();
  }
  return 0;
}

void settle(napi_env env, napi_status, void* data) {
  auto* work = static_cast<Work*>(data);
  if (work->code == 0) {
    napi_value nothing;
    napi_get_undefined(env, &nothing);
    napi_resolve_deferred(env, work->promise, nothing);
  } else {
    char message[MESSAGE_SIZE];
    mpi->message(work->code, message);
    napi_value text;
    napi_value error;
    napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text);
    napi_create_error(env, nullptr, text, &error);
    napi_reject_deferred(env, work->promise, error);
  }
  for (napi_ref array : work->arrays)
    if (array != nullptr) napi_delete_reference(env, array);
  napi_delete_async_work(env, work->handle);
  delete work;
}

/** Starts the call on a thread of the pool. */
napi_value start(napi_env env, Work* work) {
  napi_value promise;
  napi_value name;
  napi_create_promise(env, &work->promise, &promise);
  napi_create_string_utf8(env, "qdylora.collective", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(
      env, nullptr, name,
      [](napi_env, void* data) {
        auto* work = static_cast<Work*>(data);
        work->code = run(*work);
      },
      settle, work, &work->handle);
  napi_queue_async_work(env, work->handle);
  return promise;
}

/** A collective of one array, and a number: all-reduce, broadcast. */
template <Call call>
napi_value ofOneArray(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  auto* work = new Work{call};
  if (mpi == nullptr || !readElements(env, arguments[0], work->source) ||
      napi_get_value_int32(env, arguments[1], &work->argument) != napi_ok) {
    delete work;
    return throwError(env, "A typed array and a number are needed, after open().");
  }
  napi_create_reference(env, arguments[0], 1, &work->arrays[0]);
  return start(env, work);
}

/** A collective from one array into another one: all-gather, all-to-all. */
template <Call call>
napi_value ofTwoArrays(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  auto* work = new Work{call};
  const bool isRead = mpi != nullptr && readElements(env, arguments[0], work->source) &&
                      readElements(env, arguments[1], work->target) && mpi->size(&work->size) == 0;
  const size_t expected = call == Call::AllGather ? work->source.count * work->size : work->source.count;
  if (!isRead || work->target.count != expected || work->source.element != work->target.element ||
      work->source.count > LARGEST_COUNT) {
    delete work;
    return throwError(
        env, "Two typed arrays of one kind are needed, the second with room for all parts, after open().");
  }
  for (int i = 0; i < 2; i++) napi_create_reference(env, arguments[i], 1, &work->arrays[i]);
  return start(env, work);
}

napi_value barrier(napi_env env, napi_callback_info) {
  if (mpi == nullptr) return throwError(env, "open() comes first.");
  return start(env, new Work{Call::Barrier});
}

void setNumber(napi_env env, napi_value object, const char* name, int value) {
  napi_value number;
  napi_create_int32(env, value, &number);
  napi_set_named_property(env, object, name, number);
}

/** open(path, abi): opens the library and initializes MPI; returns { rank, size, threads, version }. */
napi_value open(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  char path[4096];
  int abi = 0;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  if (napi_get_value_string_utf8(env, arguments[0], path, sizeof path, nullptr) != napi_ok ||
      napi_get_value_int32(env, arguments[1], &abi) != napi_ok)
    return throwError(env, "A path and the number of a binary interface are needed.");
  qdylora::OpenError error;
  const MpiLibrary* library = qdylora::openMpiLibrary(path, static_cast<Abi>(abi), error);
  if (library == nullptr) return throwError(env, error.text);
  mpi = library;
  bool threads = false;
  int rank = 0;
  int size = 0;
  int code = mpi->initialize(&threads);
  if (code == 0) code = mpi->rank(&rank);
  if (code == 0) code = mpi->size(&size);
  if (code != 0) return throwCode(env, code);
  static char version[VERSION_SIZE];
  mpi->version(version);
  napi_value world;
  napi_value text;
  napi_create_object(env, &world);
  setNumber(env, world, "rank", rank);
  setNumber(env, world, "size", size);
  setNumber(env, world, "threads", threads ? 1 : 0);
  napi_create_string_utf8(env, version, NAPI_AUTO_LENGTH, &text);
  napi_set_named_property(env, world, "version", text);
  return world;
}

napi_value finalize(napi_env env, napi_callback_info) {
  if (mpi == nullptr) return nullptr;
  const int code = mpi->finalize();
  return code == 0 ? nullptr : throwCode(env, code);
}

/** abort(status): ends all workers of the world. */
napi_value abortWorld(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  int status = 1;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  napi_get_value_int32(env, argument, &status);
  if (mpi != nullptr) mpi->abort(status);
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback function;
  } members[] = {
      {"open", open},
      {"allReduce", ofOneArray<Call::AllReduce>},
      {"broadcast", ofOneArray<Call::Broadcast>},
      {"allGather", ofTwoArrays<Call::AllGather>},
      {"allToAll", ofTwoArrays<Call::AllToAll>},
      {"barrier", barrier},
      {"finalize", finalize},
      {"abort", abortWorld},
  };
  for (const auto& member : members) {
    napi_value function;
    napi_create_function(env, member.name, NAPI_AUTO_LENGTH, member.function, nullptr, &function);
    napi_set_named_property(env, exports, member.name, function);
  }
  return exports;
}
