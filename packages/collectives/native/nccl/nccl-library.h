// NCCL and the CUDA driver, opened at run time. No header of either is included: handles are pointers, and
// the numbers of types and operations are those of nccl.h since NCCL 2.0.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../typed-arrays.h"

namespace qdylora {

/** The call that failed, and its result. `isDriver`: a call of CUDA's driver. */
struct NcclFailure {
  const char* call = nullptr;
  int result = 0;
  bool isDriver = false;
};

/** ncclUniqueId: passed by value. */
struct NcclId {
  char bytes[128];
};

/** One communicator of this process, on one device. Calls come one at a time, from any thread. */
class NcclWorld {
 public:
  /** Opens both libraries. False: `error` says why. */
  bool open(const char* ncclPath, const char* cudaPath, char* error, size_t errorSize);
  int version() const { return version_; }
  NcclFailure createId(NcclId& id);
  NcclFailure connect(const NcclId& id, int rank, int size, int device);
  NcclFailure allReduce(const Elements& values, Reduction reduction);
  NcclFailure broadcast(const Elements& values, int root);
  NcclFailure allGather(const Elements& part, const Elements& all);
  NcclFailure allToAll(const Elements& parts, const Elements& received);
  NcclFailure close();
  /** The library's words for a result. */
  const char* message(const NcclFailure& failure) const;

 private:
  struct Nccl {
    int (*GetVersion)(int*);
    int (*GetUniqueId)(NcclId*);
    int (*CommInitRank)(void**, int, NcclId, int);
    int (*CommDestroy)(void*);
    const char* (*GetErrorString)(int);
    int (*AllReduce)(const void*, void*, size_t, int, int, void*, void*);
    int (*Broadcast)(const void*, void*, size_t, int, int, void*, void*);
    int (*AllGather)(const void*, void*, size_t, int, void*, void*);
    int (*Send)(const void*, size_t, int, int, void*, void*);
    int (*Recv)(void*, size_t, int, int, void*, void*);
    int (*GroupStart)();
    int (*GroupEnd)();
  };
  struct Driver {
    int (*Init)(unsigned);
    int (*DeviceGet)(int*, int);
    int (*DevicePrimaryCtxRetain)(void**, int);
    int (*DevicePrimaryCtxRelease)(int);
    int (*CtxSetCurrent)(void*);
    int (*MemAlloc)(std::uint64_t*, size_t);
    int (*MemFree)(std::uint64_t);
    int (*MemcpyHtoDAsync)(std::uint64_t, const void*, size_t, void*);
    int (*MemcpyDtoHAsync)(void*, std::uint64_t, size_t, void*);
    int (*StreamCreate)(void**, unsigned);
    int (*StreamDestroy)(void*);
    int (*StreamSynchronize)(void*);
    int (*GetErrorName)(int, const char**);
  };
  /** Memory of the device that grows as collectives need it. */
  struct Staging {
    std::uint64_t address = 0;
    size_t bytes = 0;
    void* pointer(size_t offset = 0) const { return reinterpret_cast<void*>(address + offset); }
  };

  NcclFailure reserve(Staging& staging, size_t bytes);
  /** Copies `source` to the device, calls `collective`, and copies `target` back. */
  template <class Collective>
  NcclFailure staged(const Elements& source, const Elements& target, const Collective& collective);

  Nccl nccl_ = {};
  Driver driver_ = {};
  int version_ = 0;
  int size_ = 1;
  int device_ = 0;
  void* context_ = nullptr;
  void* stream_ = nullptr;
  void* communicator_ = nullptr;
  Staging source_;
  Staging target_;
};

}  // namespace qdylora
