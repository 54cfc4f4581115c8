// NCCL for tests: collectives between processes of one machine, through shared memory that the unique id
// names. Each worker has a slot. A collective goes through the slots in pieces: all write, all wait, all
// read, all wait. Memory of the device is copied by the driver that the process has opened, whichever it is.
// As NCCL does, it refuses workers that share a device.
// QDYLORA_FAKE_NCCL=ncclAllReduce:5 lets that call fail with this result.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define QD_API extern "C" __attribute__((visibility("default")))

namespace {

constexpr int OK = 0;
constexpr int CUDA_ERROR = 1;
constexpr int SYSTEM_ERROR = 2;
constexpr int INVALID_ARGUMENT = 4;
constexpr int INVALID_USAGE = 5;
constexpr size_t SLOT = 1 << 16;
constexpr size_t HEADER = 4096;

struct Id {
  char bytes[128];
};

struct Shared {
  std::atomic<int> arrived;
  std::atomic<int> round;
};

struct Communicator {
  Shared* shared;
  int rank;
  int size;
  char* slot(int worker) const { return reinterpret_cast<char*>(shared) + HEADER + worker * SLOT; }
  size_t bytes() const { return HEADER + size * SLOT; }

  /** Waits for all workers. */
  void meet() const {
    const int round = shared->round;
    if (shared->arrived.fetch_add(1) + 1 == size) {
      shared->arrived = 0;
      shared->round = round + 1;
      return;
    }
    while (shared->round == round) usleep(50);
  }
};

int failureOf(const char* call) {
  const char* order = std::getenv("QDYLORA_FAKE_NCCL");
  const size_t length = std::strlen(call);
  const bool isMeant = order != nullptr && std::strncmp(order, call, length) == 0 && order[length] == ':';
  return isMeant ? std::atoi(order + length + 1) : OK;
}

size_t bytesOf(int type) {
  switch (type) {
    case 1:
      return 1;
    case 2:
    case 7:
      return 4;
    case 8:
      return 8;
  }
  return 0;
}

template <class Value>
void reducePiece(const Communicator& world, Value* out, size_t count, int operation) {
  for (size_t i = 0; i < count; i++) {
    Value result = reinterpret_cast<Value*>(world.slot(0))[i];
    for (int worker = 1; worker < world.size; worker++) {
      const Value value = reinterpret_cast<Value*>(world.slot(worker))[i];
      if (operation == 0) result += value;
      if (operation == 2 && value > result) result = value;
      if (operation == 3 && value < result) result = value;
    }
    out[i] = result;
  }
}

/** Calls `write(from, bytes)` and `read(from, bytes)` for each piece of `total` bytes. */
template <class Write, class Read>
void inPieces(const Communicator& world, size_t total, size_t piece, const Write& write, const Read& read) {
  for (size_t from = 0; from < total; from += piece) {
    const size_t bytes = total - from < piece ? total - from : piece;
    write(from, bytes);
    world.meet();
    read(from, bytes);
    world.meet();
  }
}

/** A function of the driver. */
template <class... Arguments>
int driver(const char* name, Arguments... arguments) {
  auto* function = reinterpret_cast<int (*)(Arguments...)>(dlsym(RTLD_DEFAULT, name));
  return function == nullptr ? SYSTEM_ERROR : function(arguments...);
}

/** What the host has of memory of the device. */
class HostCopy {
 public:
  HostCopy(const void* address, size_t bytes, void* stream)
      : address_(reinterpret_cast<std::uint64_t>(address)), bytes_(bytes), stream_(stream) {}

  char* data() { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  int load() {
    const int result = driver<void*, std::uint64_t, size_t, void*>("cuMemcpyDtoHAsync_v2", data(), address_,
                                                                   size(), stream_);
    return result == OK ? synchronized() : CUDA_ERROR;
  }
  int store() {
    const int result = driver<std::uint64_t, const void*, size_t, void*>("cuMemcpyHtoDAsync_v2", address_,
                                                                         data(), size(), stream_);
    return result == OK ? synchronized() : CUDA_ERROR;
  }

 private:
  int synchronized() const { return driver("cuStreamSynchronize", stream_) == OK ? OK : CUDA_ERROR; }

  std::uint64_t address_;
  std::vector<char> bytes_;
  void* stream_;
};

struct Message {
  HostCopy copy;
  int peer;
};

std::vector<Message> sends;
std::vector<Message> receives;
const Communicator* grouped = nullptr;

/** Whether another worker has the device of this one. All workers call it. */
bool sharesDevice(const Communicator& world) {
  int device = -1;
  if (driver("cuCtxGetDevice", &device) != OK) return true;
  std::memcpy(world.slot(world.rank), &device, sizeof device);
  world.meet();
  int users = 0;
  for (int worker = 0; worker < world.size; worker++) {
    int other;
    std::memcpy(&other, world.slot(worker), sizeof other);
    users += other == device ? 1 : 0;
  }
  world.meet();
  return users > 1;
}

}  // namespace

QD_API int ncclGetVersion(int* version) {
  *version = 23203;
  return failureOf("ncclGetVersion");
}

QD_API int ncclGetUniqueId(Id* id) {
  if (const int failure = failureOf("ncclGetUniqueId")) return failure;
  std::memset(id, 0, sizeof *id);
  std::snprintf(id->bytes, sizeof id->bytes, "/qdylora-fake-nccl-%d", getpid());
  return OK;
}

QD_API int ncclCommInitRank(void** communicator, int size, Id id, int rank) {
  if (const int failure = failureOf("ncclCommInitRank")) return failure;
  if (rank < 0 || rank >= size) return INVALID_ARGUMENT;
  const int file = shm_open(id.bytes, O_CREAT | O_RDWR, 0600);
  auto* world = new Communicator{nullptr, rank, size};
  if (file < 0 || ftruncate(file, static_cast<off_t>(world->bytes())) != 0) return SYSTEM_ERROR;
  void* memory = mmap(nullptr, world->bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return SYSTEM_ERROR;
  world->shared = static_cast<Shared*>(memory);
  world->meet();
  if (rank == 0) shm_unlink(id.bytes);
  *communicator = world;
  return sharesDevice(*world) ? INVALID_USAGE : OK;
}

QD_API int ncclCommDestroy(void* communicator) {
  auto* world = static_cast<Communicator*>(communicator);
  munmap(world->shared, world->bytes());
  delete world;
  return OK;
}

QD_API const char* ncclGetErrorString(int result) {
  constexpr const char* TEXTS[] = {
      "no error",         "unhandled cuda error", "unhandled system error", "internal error",
      "invalid argument", "invalid usage",        "remote process error"};
  return result >= 0 && result < 7 ? TEXTS[result] : "unknown result code";
}

QD_API int ncclAllReduce(const void* from, void* to, size_t count, int type, int operation,
                         void* communicator, void* stream) {
  if (const int failure = failureOf("ncclAllReduce")) return failure;
  const auto& world = *static_cast<Communicator*>(communicator);
  const size_t each = bytesOf(type);
  if (each == 0 || type == 1) return INVALID_ARGUMENT;
  HostCopy source(from, count * each, stream);
  HostCopy target(to, count * each, stream);
  if (const int failure = source.load()) return failure;
  inPieces(
      world, count * each, SLOT,
      [&](size_t start, size_t bytes) { std::memcpy(world.slot(world.rank), source.data() + start, bytes); },
      [&](size_t start, size_t bytes) {
        void* out = target.data() + start;
        if (type == 7) reducePiece(world, static_cast<float*>(out), bytes / each, operation);
        if (type == 8) reducePiece(world, static_cast<double*>(out), bytes / each, operation);
        if (type == 2) reducePiece(world, static_cast<std::int32_t*>(out), bytes / each, operation);
      });
  return target.store();
}

QD_API int ncclBroadcast(const void* from, void* to, size_t count, int type, int root, void* communicator,
                         void* stream) {
  if (const int failure = failureOf("ncclBroadcast")) return failure;
  const auto& world = *static_cast<Communicator*>(communicator);
  HostCopy source(from, count * bytesOf(type), stream);
  HostCopy target(to, count * bytesOf(type), stream);
  if (const int failure = source.load()) return failure;
  inPieces(
      world, source.size(), SLOT,
      [&](size_t start, size_t bytes) { std::memcpy(world.slot(world.rank), source.data() + start, bytes); },
      [&](size_t start, size_t bytes) { std::memcpy(target.data() + start, world.slot(root), bytes); });
  return target.store();
}

QD_API int ncclAllGather(const void* from, void* to, size_t count, int type, void* communicator,
                         void* stream) {
  if (const int failure = failureOf("ncclAllGather")) return failure;
  const auto& world = *static_cast<Communicator*>(communicator);
  const size_t total = count * bytesOf(type);
  HostCopy source(from, total, stream);
  HostCopy target(to, world.size * total, stream);
  if (const int failure = source.load()) return failure;
  inPieces(
      world, total, SLOT,
      [&](size_t start, size_t bytes) { std::memcpy(world.slot(world.rank), source.data() + start, bytes); },
      [&](size_t start, size_t bytes) {
        for (int worker = 0; worker < world.size; worker++)
          std::memcpy(target.data() + worker * total + start, world.slot(worker), bytes);
      });
  return target.store();
}

QD_API int ncclGroupStart() {
  sends.clear();
  receives.clear();
  return failureOf("ncclGroupStart");
}

QD_API int ncclSend(const void* from, size_t count, int type, int peer, void* communicator, void* stream) {
  if (const int failure = failureOf("ncclSend")) return failure;
  grouped = static_cast<Communicator*>(communicator);
  sends.push_back({HostCopy(from, count * bytesOf(type), stream), peer});
  return OK;
}

QD_API int ncclRecv(void* to, size_t count, int type, int peer, void* communicator, void* stream) {
  if (const int failure = failureOf("ncclRecv")) return failure;
  grouped = static_cast<Communicator*>(communicator);
  receives.push_back({HostCopy(to, count * bytesOf(type), stream), peer});
  return OK;
}

/** Messages of one size from each worker to each: a slot has a part for every receiver. */
QD_API int ncclGroupEnd() {
  if (const int failure = failureOf("ncclGroupEnd")) return failure;
  if (grouped == nullptr) return OK;
  const auto& world = *grouped;
  const size_t part = SLOT / world.size;
  for (Message& message : sends)
    if (const int failure = message.copy.load()) return failure;
  inPieces(
      world, sends.empty() ? 0 : sends[0].copy.size(), part,
      [&](size_t start, size_t bytes) {
        for (Message& message : sends)
          std::memcpy(world.slot(world.rank) + message.peer * part, message.copy.data() + start, bytes);
      },
      [&](size_t start, size_t bytes) {
        for (Message& message : receives)
          std::memcpy(message.copy.data() + start, world.slot(message.peer) + world.rank * part, bytes);
      });
  for (Message& message : receives)
    if (const int failure = message.copy.store()) return failure;
  return OK;
}
