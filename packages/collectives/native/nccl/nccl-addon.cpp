// The Node-API addon of @qdylora/collectives for NCCL: `open`, `createId` and `connect`, then collectives
// over arrays of the host that run on a thread of libuv's pool and settle a promise. One at a time.
#include <node_api.h>

#include <cstdio>
#include <cstring>

#include "../task.h"
#include "../typed-arrays.h"
#include "nccl-library.h"

namespace {

using qdylora::Elements;
using qdylora::NcclFailure;
using qdylora::NcclId;
using qdylora::NcclWorld;
using qdylora::readElements;
using qdylora::Reduction;
using qdylora::throwError;

NcclWorld world;

napi_value errorOf(napi_env env, const NcclFailure& failure) {
  napi_value isDriver;
  char message[512];
  std::snprintf(message, sizeof message, "%s: %s", failure.call, world.message(failure));
  const napi_value error = qdylora::createError(env, message);
  qdylora::setText(env, error, "call", failure.call);
  qdylora::setNumber(env, error, "result", failure.result);
  napi_get_boolean(env, failure.isDriver, &isDriver);
  napi_set_named_property(env, error, "isDriver", isDriver);
  return error;
}

/** A call of `world` under way. */
template <class Call>
class Collective : public qdylora::Task {
 public:
  explicit Collective(Call call) : call_(call) {}
  void run() override { failure_ = call_(); }
  napi_value error(napi_env env) override {
    return failure_.call == nullptr ? nullptr : errorOf(env, failure_);
  }

 private:
  Call call_;
  NcclFailure failure_;
};

template <class Call>
napi_value start(napi_env env, Call call, const napi_value* arrays, int count) {
  auto* task = new Collective<Call>(call);
  for (int i = 0; i < count; i++) task->keep(env, arrays[i]);
  return task->start(env);
}

/** open(nccl, cuda): opens the libraries; returns NCCL's version as a number. */
napi_value open(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  char paths[2][4096];
  char error[1024];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  for (int i = 0; i < 2; i++)
    if (napi_get_value_string_utf8(env, arguments[i], paths[i], sizeof paths[i], nullptr) != napi_ok)
      return throwError(env, "Two paths are needed.");
  if (!world.open(paths[0], paths[1], error, sizeof error)) return throwError(env, error);
  napi_value version;
  napi_create_int32(env, world.version(), &version);
  return version;
}

/** createId(bytes): fills 128 bytes. */
napi_value createId(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  Elements bytes;
  NcclId id;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  if (!readElements(env, argument, bytes) || bytes.byteLength() != sizeof id)
    return throwError(env, "An array of 128 bytes is needed.");
  const NcclFailure failure = world.createId(id);
  if (failure.call != nullptr) {
    napi_throw(env, errorOf(env, failure));
    return nullptr;
  }
  std::memcpy(bytes.data, &id, sizeof id);
  return nullptr;
}

/** connect(id, rank, size, device) */
napi_value connect(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value arguments[4];
  Elements bytes;
  NcclId id;
  int numbers[3];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  bool isRead = readElements(env, arguments[0], bytes) && bytes.byteLength() == sizeof id;
  for (int i = 0; i < 3; i++)
    isRead = isRead && napi_get_value_int32(env, arguments[i + 1], &numbers[i]) == napi_ok;
  if (!isRead) return throwError(env, "An id of 128 bytes and three numbers are needed.");
  std::memcpy(&id, bytes.data, sizeof id);
  const int rank = numbers[0];
  const int size = numbers[1];
  const int device = numbers[2];
  return start(env, [=] { return world.connect(id, rank, size, device); }, nullptr, 0);
}

/** A collective of one array, and a number: all-reduce, broadcast. */
template <NcclFailure (*call)(const Elements&, int)>
napi_value ofOneArray(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  Elements values;
  int argument;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  if (!readElements(env, arguments[0], values) ||
      napi_get_value_int32(env, arguments[1], &argument) != napi_ok)
    return throwError(env, "A typed array and a number are needed.");
  return start(env, [=] { return call(values, argument); }, arguments, 1);
}

/** A collective from one array into another one: all-gather, all-to-all. */
template <NcclFailure (NcclWorld::*call)(const Elements&, const Elements&)>
napi_value ofTwoArrays(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  Elements source;
  Elements target;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  if (!readElements(env, arguments[0], source) || !readElements(env, arguments[1], target) ||
      source.element != target.element)
    return throwError(env, "Two typed arrays of one kind are needed.");
  return start(env, [=] { return (world.*call)(source, target); }, arguments, 2);
}

NcclFailure allReduce(const Elements& values, int reduction) {
  return world.allReduce(values, static_cast<Reduction>(reduction));
}

NcclFailure broadcast(const Elements& values, int root) { return world.broadcast(values, root); }

napi_value close(napi_env env, napi_callback_info) {
  return start(env, [] { return world.close(); }, nullptr, 0);
}

}  // namespace

NAPI_MODULE_INIT() {
  constexpr qdylora::Member MEMBERS[] = {
      {"open", open},
      {"createId", createId},
      {"connect", connect},
      {"allReduce", ofOneArray<allReduce>},
      {"broadcast", ofOneArray<broadcast>},
      {"allGather", ofTwoArrays<&NcclWorld::allGather>},
      {"allToAll", ofTwoArrays<&NcclWorld::allToAll>},
      {"close", close},
  };
  return qdylora::exportMembers(env, exports, MEMBERS);
}
