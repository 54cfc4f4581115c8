// The Node-API addon of @qdylora/collectives: `open`, then collectives that run on a thread of libuv's pool
// and settle a promise. The caller starts one at a time (`MPI_THREAD_SERIALIZED`).
#include <node_api.h>

#include <cstdio>
#include <cstring>

#include "../task.h"
#include "../typed-arrays.h"
#include "mpi-library.h"

namespace {

using qdylora::Abi;
using qdylora::Elements;
using qdylora::MpiLibrary;
using qdylora::readElements;
using qdylora::setNumber;
using qdylora::setText;
using qdylora::throwError;

constexpr int MESSAGE_SIZE = 512;
constexpr int VERSION_SIZE = 8192;
/** MPI counts in ints. */
constexpr size_t LARGEST_COUNT = size_t{1} << 30;

const MpiLibrary* mpi = nullptr;

napi_value throwCode(napi_env env, int code) {
  char message[MESSAGE_SIZE];
  mpi->message(code, message);
  return throwError(env, message);
}

enum class Call { AllReduce, Broadcast, AllGather, AllToAll, Barrier };

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

/** A collective under way. */
class Collective : public qdylora::Task {
 public:
  explicit Collective(Call call) : call_(call) {}

  Elements source = {};
  Elements target = {};
  /** The reduction, or the root of a broadcast. */
  int argument = 0;
  int size = 1;

  void run() override { code_ = call(); }

  napi_value error(napi_env env) override {
    if (code_ == 0) return nullptr;
    char message[MESSAGE_SIZE];
    mpi->message(code_, message);
    return qdylora::createError(env, message);
  }

 private:
  int call() const {
    const int element = static_cast<int>(source.element);
    switch (call_) {
      case Call::AllReduce:
        return inParts(source.count, [&](size_t from, int count) {
          return mpi->allReduce(source.data + from * source.bytesEach, count, element, argument);
        });
      case Call::Broadcast:
        return inParts(source.count, [&](size_t from, int count) {
          return mpi->broadcast(source.data + from * source.bytesEach, count, element, argument);
        });
      case Call::AllGather:
        return mpi->allGather(source.data, target.data, static_cast<int>(source.count), element);
      case Call::AllToAll:
        return mpi->allToAll(source.data, target.data, static_cast<int>(source.count / size), element);
      case Call::Barrier:
        return mpi->barrier();
    }
    return 0;
  }

  Call call_;
  int code_ = 0;
};

/** A collective of one array, and a number: all-reduce, broadcast. */
template <Call call>
napi_value ofOneArray(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  auto* work = new Collective(call);
  if (mpi == nullptr || !readElements(env, arguments[0], work->source) ||
      napi_get_value_int32(env, arguments[1], &work->argument) != napi_ok) {
    delete work;
    return throwError(env, "A typed array and a number are needed, after open().");
  }
  work->keep(env, arguments[0]);
  return work->start(env);
}

/** A collective from one array into another one: all-gather, all-to-all. */
template <Call call>
napi_value ofTwoArrays(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  auto* work = new Collective(call);
  const bool isRead = mpi != nullptr && readElements(env, arguments[0], work->source) &&
                      readElements(env, arguments[1], work->target) && mpi->size(&work->size) == 0;
  const size_t expected = call == Call::AllGather ? work->source.count * work->size : work->source.count;
  if (!isRead || work->target.count != expected || work->source.element != work->target.element) {
    delete work;
    return throwError(
        env, "Two typed arrays of one kind are needed, the second with room for all parts, after open().");
  }
  const size_t workers = static_cast<size_t>(work->size);
  const size_t ofWorker = call == Call::AllGather ? work->source.count : work->source.count / workers;
  if (ofWorker > LARGEST_COUNT) {
    delete work;
    return throwError(env, "The part of each worker must have at most 2^30 elements.");
  }
  for (napi_value array : arguments) work->keep(env, array);
  return work->start(env);
}

napi_value barrier(napi_env env, napi_callback_info) {
  if (mpi == nullptr) return throwError(env, "open() comes first.");
  return (new Collective(Call::Barrier))->start(env);
}

/**
 * identify(path): { version, isShim }: what the library says that it is (MPI_Get_library_version), before MPI
 * is initialized.
 */
napi_value identify(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  char path[4096];
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  if (napi_get_value_string_utf8(env, argument, path, sizeof path, nullptr) != napi_ok)
    return throwError(env, "A path is needed.");
  qdylora::OpenError error;
  static char version[VERSION_SIZE];
  bool isShim = false;
  if (!qdylora::identifyLibrary(path, version, isShim, error)) return throwError(env, error.text);
  napi_value identity;
  napi_create_object(env, &identity);
  setText(env, identity, "version", version);
  setNumber(env, identity, "isShim", isShim ? 1 : 0);
  return identity;
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
  int threads = 0;
  int rank = 0;
  int size = 0;
  int code = mpi->initialize(&threads);
  if (code == 0) code = mpi->rank(&rank);
  if (code == 0) code = mpi->size(&size);
  if (code != 0) return throwCode(env, code);
  static char version[VERSION_SIZE];
  mpi->version(version);
  napi_value world;
  napi_create_object(env, &world);
  setNumber(env, world, "rank", rank);
  setNumber(env, world, "size", size);
  setNumber(env, world, "threads", threads);
  setText(env, world, "version", version);
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
  constexpr qdylora::Member MEMBERS[] = {
      {"identify", identify},
      {"open", open},
      {"allReduce", ofOneArray<Call::AllReduce>},
      {"broadcast", ofOneArray<Call::Broadcast>},
      {"allGather", ofTwoArrays<Call::AllGather>},
      {"allToAll", ofTwoArrays<Call::AllToAll>},
      {"barrier", barrier},
      {"finalize", finalize},
      {"abort", abortWorld},
  };
  return qdylora::exportMembers(env, exports, MEMBERS);
}
