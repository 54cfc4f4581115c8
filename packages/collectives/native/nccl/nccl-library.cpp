#include "nccl-library.h"

#include <initializer_list>

#include "../symbols.h"

namespace qdylora {
namespace {

/** ncclDataType_t, by `Element`. */
constexpr int TYPES[] = {7, 8, 2, 1};
/** ncclRedOp_t, by `Reduction`. */
constexpr int OPERATIONS[] = {0, 2, 3};

int typeOf(const Elements& elements) { return TYPES[static_cast<int>(elements.element)]; }

NcclFailure failedCall(const char* call, int result) { return {result == 0 ? nullptr : call, result, false}; }
NcclFailure failedDriver(const char* call, int result) {
  return {result == 0 ? nullptr : call, result, true};
}

}  // namespace

/** Returns from the enclosing function where the call fails. */
#define QD_TRY(expression) \
  if (const NcclFailure failure = (expression); failure.call != nullptr) return failure

bool NcclWorld::open(const char* ncclPath, const char* cudaPath, char* error, size_t errorSize) {
  // NCCL looks for the driver itself: what is loaded already, it finds.
  Symbols driver(cudaPath, error, errorSize);
  driver.read(driver_.Init, "cuInit");
  driver.read(driver_.DeviceGet, "cuDeviceGet");
  driver.read(driver_.DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  driver.read(driver_.DevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
  driver.read(driver_.CtxSetCurrent, "cuCtxSetCurrent");
  driver.read(driver_.MemAlloc, "cuMemAlloc_v2");
  driver.read(driver_.MemFree, "cuMemFree_v2");
  driver.read(driver_.MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  driver.read(driver_.MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  driver.read(driver_.StreamCreate, "cuStreamCreate");
  driver.read(driver_.StreamDestroy, "cuStreamDestroy_v2");
  driver.read(driver_.StreamSynchronize, "cuStreamSynchronize");
  driver.read(driver_.GetErrorName, "cuGetErrorName");
  if (!driver.areAllThere()) return false;
  Symbols nccl(ncclPath, error, errorSize);
  nccl.read(nccl_.GetVersion, "ncclGetVersion");
  nccl.read(nccl_.GetUniqueId, "ncclGetUniqueId");
  nccl.read(nccl_.CommInitRank, "ncclCommInitRank");
  nccl.read(nccl_.CommDestroy, "ncclCommDestroy");
  nccl.read(nccl_.GetErrorString, "ncclGetErrorString");
  nccl.read(nccl_.AllReduce, "ncclAllReduce");
  nccl.read(nccl_.Broadcast, "ncclBroadcast");
  nccl.read(nccl_.AllGather, "ncclAllGather");
  nccl.read(nccl_.Send, "ncclSend");
  nccl.read(nccl_.Recv, "ncclRecv");
  nccl.read(nccl_.GroupStart, "ncclGroupStart");
  nccl.read(nccl_.GroupEnd, "ncclGroupEnd");
  return nccl.areAllThere() && nccl_.GetVersion(&version_) == 0;
}

NcclFailure NcclWorld::createId(NcclId& id) { return failedCall("ncclGetUniqueId", nccl_.GetUniqueId(&id)); }

NcclFailure NcclWorld::connect(const NcclId& id, int rank, int size, int device) {
  QD_TRY(failedDriver("cuInit", driver_.Init(0)));
  QD_TRY(failedDriver("cuDeviceGet", driver_.DeviceGet(&device_, device)));
  QD_TRY(failedDriver("cuDevicePrimaryCtxRetain", driver_.DevicePrimaryCtxRetain(&context_, device_)));
  QD_TRY(failedDriver("cuCtxSetCurrent", driver_.CtxSetCurrent(context_)));
  QD_TRY(failedDriver("cuStreamCreate", driver_.StreamCreate(&stream_, 1)));  // 1: not the default stream's
  size_ = size;
  return failedCall("ncclCommInitRank", nccl_.CommInitRank(&communicator_, size, id, rank));
}

NcclFailure NcclWorld::reserve(Staging& staging, size_t bytes) {
  if (staging.bytes >= bytes) return {};
  if (staging.address != 0) QD_TRY(failedDriver("cuMemFree_v2", driver_.MemFree(staging.address)));
  staging = {};
  QD_TRY(failedDriver("cuMemAlloc_v2", driver_.MemAlloc(&staging.address, bytes)));
  staging.bytes = bytes;
  return {};
}

template <class Collective>
NcclFailure NcclWorld::staged(const Elements& source, const Elements& target, const Collective& collective) {
  if (source.count == 0 || target.count == 0) return {};
  QD_TRY(failedDriver("cuCtxSetCurrent", driver_.CtxSetCurrent(context_)));
  QD_TRY(reserve(source_, source.byteLength()));
  QD_TRY(reserve(target_, target.byteLength()));
  QD_TRY(failedDriver("cuMemcpyHtoDAsync_v2",
                      driver_.MemcpyHtoDAsync(source_.address, source.data, source.byteLength(), stream_)));
  QD_TRY(collective());
  QD_TRY(failedDriver("cuMemcpyDtoHAsync_v2",
                      driver_.MemcpyDtoHAsync(target.data, target_.address, target.byteLength(), stream_)));
  return failedDriver("cuStreamSynchronize", driver_.StreamSynchronize(stream_));
}

NcclFailure NcclWorld::allReduce(const Elements& values, Reduction reduction) {
  return staged(values, values, [&] {
    return failedCall("ncclAllReduce",
                      nccl_.AllReduce(source_.pointer(), target_.pointer(), values.count, typeOf(values),
                                      OPERATIONS[static_cast<int>(reduction)], communicator_, stream_));
  });
}

NcclFailure NcclWorld::broadcast(const Elements& values, int root) {
  return staged(values, values, [&] {
    return failedCall("ncclBroadcast", nccl_.Broadcast(source_.pointer(), target_.pointer(), values.count,
                                                       typeOf(values), root, communicator_, stream_));
  });
}

NcclFailure NcclWorld::allGather(const Elements& part, const Elements& all) {
  return staged(part, all, [&] {
    return failedCall("ncclAllGather", nccl_.AllGather(source_.pointer(), target_.pointer(), part.count,
                                                       typeOf(part), communicator_, stream_));
  });
}

NcclFailure NcclWorld::allToAll(const Elements& parts, const Elements& received) {
  return staged(parts, received, [&]() -> NcclFailure {
    const size_t count = parts.count / size_;
    const size_t bytes = count * parts.bytesEach;
    QD_TRY(failedCall("ncclGroupStart", nccl_.GroupStart()));
    for (int worker = 0; worker < size_; worker++) {
      QD_TRY(failedCall("ncclSend", nccl_.Send(source_.pointer(worker * bytes), count, typeOf(parts), worker,
                                               communicator_, stream_)));
      QD_TRY(failedCall("ncclRecv", nccl_.Recv(target_.pointer(worker * bytes), count, typeOf(parts), worker,
                                               communicator_, stream_)));
    }
    return failedCall("ncclGroupEnd", nccl_.GroupEnd());
  });
}

NcclFailure NcclWorld::close() {
  if (context_ == nullptr) return {};
  QD_TRY(failedDriver("cuCtxSetCurrent", driver_.CtxSetCurrent(context_)));
  if (communicator_ != nullptr) QD_TRY(failedCall("ncclCommDestroy", nccl_.CommDestroy(communicator_)));
  for (Staging* staging : {&source_, &target_}) {
    if (staging->address != 0) QD_TRY(failedDriver("cuMemFree_v2", driver_.MemFree(staging->address)));
    *staging = {};
  }
  if (stream_ != nullptr) QD_TRY(failedDriver("cuStreamDestroy_v2", driver_.StreamDestroy(stream_)));
  communicator_ = stream_ = context_ = nullptr;
  return failedDriver("cuDevicePrimaryCtxRelease_v2", driver_.DevicePrimaryCtxRelease(device_));
}

const char* NcclWorld::message(const NcclFailure& failure) const {
  if (!failure.isDriver) return nccl_.GetErrorString(failure.result);
  const char* name = nullptr;
  return driver_.GetErrorName(failure.result, &name) == 0 && name != nullptr ? name : "unknown result";
}

}  // namespace qdylora
