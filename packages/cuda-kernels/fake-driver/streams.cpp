#include "streams.h"

#include "results.h"

namespace fake {

void Stream::add(Step step) {
  if (capture)
    capture->steps.push_back(std::move(step));
  else
    queue.push_back(std::move(step));
}

bool Stream::canAdvance() const {
  if (queue.empty()) return false;
  const Step& next = queue.front();
  return !next.event || next.event->done >= next.upTo;
}

std::uint64_t Streams::drawn(std::uint64_t limit) {
  random = random * 6364136223846793005ull + 1442695040888963407ull;
  return (random >> 33) % limit;
}

int Streams::advanceUntil(const std::function<bool()>& isEnough, const std::function<int(Step&)>& run) {
  while (!isEnough()) {
    std::vector<Stream*> able;
    for (Stream* stream : all)
      if (stream->canAdvance()) able.push_back(stream);
    if (able.empty()) return LAUNCH_FAILED;  // streams wait for events that nobody records
    Stream& stream = *able[drawn(able.size())];
    Step step = std::move(stream.queue.front());
    stream.queue.pop_front();
    if (!step.run) continue;
    if (const int result = run(step)) return result;
  }
  return OK;
}

bool Streams::areIdle() const {
  for (const Stream* stream : all)
    if (!stream->queue.empty()) return false;
  return true;
}

void Streams::clear() {
  for (Stream* stream : all) stream->queue.clear();
}

}  // namespace fake
