// Calls that enqueue work, and calls that wait for it.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "api.h"

using namespace fake;

namespace {

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Adds work to the stream of a handle.
int enqueue(const void* stream, std::function<int()> run) {
  const std::shared_ptr<Stream> found = device().streamHandles.find(stream);
  if (!found) return INVALID_HANDLE;
  found->add({std::move(run), nullptr, 0});
  return OK;
}

// Copies between memories that are only accessed when the stream gets there: pinned memory and the device's.
int enqueueCopy(const void* stream, std::uint64_t to, std::uint64_t from, std::size_t bytes) {
  return enqueue(stream, [=] {
    std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
    return OK;
  });
}

// A copy between the device and the host's memory at `host`: pageable memory is not accessed later.
int copyWithHost(void* stream, std::uint64_t to, std::uint64_t from, std::size_t bytes, std::uint64_t host) {
  const bool isPinned = device().pinned.contains(host, bytes);
  if (!isPinned && !device().settings.isPageable) return INVALID_VALUE;
  const int result = enqueueCopy(stream, to, from, bytes);
  return result == OK && !isPinned ? device().waitForAll() : result;
}

}  // namespace

QD_API cuMemcpyHtoDAsync_v2(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream) {
  return call("cuMemcpyHtoDAsync_v2", [=] {
    if (!device().memory.contains(to, bytes)) return static_cast<int>(INVALID_VALUE);
    return copyWithHost(stream, to, from, bytes, from);
  });
}

QD_API cuMemcpyDtoHAsync_v2(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream) {
  return call("cuMemcpyDtoHAsync_v2", [=] {
    if (!device().memory.contains(from, bytes)) return static_cast<int>(INVALID_VALUE);
    return copyWithHost(stream, to, from, bytes, to);
  });
}

QD_API cuMemcpyDtoDAsync_v2(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream) {
  return call("cuMemcpyDtoDAsync_v2", [=] {
    if (!device().memory.contains(from, bytes) || !device().memory.contains(to, bytes))
      return static_cast<int>(INVALID_VALUE);
    return enqueueCopy(stream, to, from, bytes);
  });
}

QD_API cuMemsetD32Async(std::uint64_t to, unsigned value, std::size_t words, void* stream) {
  return call("cuMemsetD32Async", [=] {
    if (!device().memory.contains(to, 4 * words)) return static_cast<int>(INVALID_VALUE);
    return enqueue(stream, [=] {
      std::fill_n(reinterpret_cast<unsigned*>(to), words, value);
      return OK;
    });
  });
}

QD_API cuStreamCreate(void** stream, unsigned) {
  return call("cuStreamCreate", [=] {
    Stream* created = device().streamHandles.add(std::make_shared<Stream>());
    device().streams.all.insert(created);
    *stream = created;
    return OK;
  });
}

QD_API cuStreamDestroy_v2(void* stream) {
  return release("cuStreamDestroy_v2", [=] {
    if (!device().streamHandles.find(stream)) return static_cast<int>(INVALID_HANDLE);
    const int result = device().waitForAll();
    device().streams.all.erase(static_cast<Stream*>(stream));
    device().streamHandles.remove(stream);
    return result;
  });
}

QD_API cuStreamSynchronize(void* stream) {
  return call("cuStreamSynchronize", [=] {
    const std::shared_ptr<Stream> found = device().streamHandles.find(stream);
    if (!found) return static_cast<int>(INVALID_HANDLE);
    if (found->capture) return static_cast<int>(CAPTURE_UNSUPPORTED);
    return device().wait([&] { return found->queue.empty(); });
  });
}

QD_API cuStreamWaitEvent(void* stream, void* event, unsigned) {
  return call("cuStreamWaitEvent", [=] {
    const std::shared_ptr<Stream> found = device().streamHandles.find(stream);
    const std::shared_ptr<Event> awaited = device().events.find(event);
    if (!found || !awaited) return INVALID_HANDLE;
    found->add({nullptr, awaited, awaited->recorded});
    return OK;
  });
}

QD_API cuEventCreate(void** event, unsigned) {
  return call("cuEventCreate", [=] {
    *event = device().events.add(std::make_shared<Event>());
    return OK;
  });
}

QD_API cuEventDestroy_v2(void* event) {
  return release("cuEventDestroy_v2", [=] { return device().events.remove(event) ? OK : INVALID_HANDLE; });
}

QD_API cuEventRecord(void* event, void* stream) {
  return call("cuEventRecord", [=] {
    const std::shared_ptr<Event> recorded = device().events.find(event);
    if (!recorded) return static_cast<int>(INVALID_HANDLE);
    const std::uint64_t number = ++recorded->recorded;
    return enqueue(stream, [=] {
      recorded->done = number;
      recorded->milliseconds = now();
      return OK;
    });
  });
}

QD_API cuEventSynchronize(void* event) {
  return call("cuEventSynchronize", [=] {
    const std::shared_ptr<Event> awaited = device().events.find(event);
    if (!awaited) return static_cast<int>(INVALID_HANDLE);
    const std::uint64_t number = awaited->recorded;
    return device().wait([&] { return awaited->done >= number; });
  });
}

QD_API cuEventElapsedTime(float* milliseconds, void* start, void* end) {
  return call("cuEventElapsedTime", [=] {
    const std::shared_ptr<Event> first = device().events.find(start);
    const std::shared_ptr<Event> last = device().events.find(end);
    if (!first || !last) return INVALID_HANDLE;
    if (first->done < first->recorded || last->done < last->recorded) return NOT_READY;
    *milliseconds = static_cast<float>(last->milliseconds - first->milliseconds);
    return OK;
  });
}
