// Streams, events and graphs. Work runs as late as the API allows: when a call waits for it. A seed draws
// which stream goes on.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

namespace fake {

// Records of an event, counted. A wait is for those that were asked for when it was enqueued.
struct Event {
  std::uint64_t recorded = 0;
  std::uint64_t done = 0;
  double milliseconds = 0;
};

// A piece of work, or a wait for an event.
struct Step {
  std::function<int()> run;
  std::shared_ptr<Event> event;
  std::uint64_t upTo = 0;
};

struct Graph {
  std::vector<Step> steps;
};

struct Stream {
  std::deque<Step> queue;
  std::unique_ptr<Graph> capture;  // steps go there while it is set

  void add(Step step);
  bool canAdvance() const;
};

class Streams {
 public:
  std::set<Stream*> all;

  void seed(std::uint64_t value) { random = value; }
  // Runs steps of any streams until `isEnough`. `run` runs one; what it returns other than 0 ends all.
  int advanceUntil(const std::function<bool()>& isEnough, const std::function<int(Step&)>& run);
  bool areIdle() const;
  // Forgets all work, of a device that is lost.
  void clear();

 private:
  std::uint64_t random = 0;
  std::uint64_t drawn(std::uint64_t limit);
};

}  // namespace fake
