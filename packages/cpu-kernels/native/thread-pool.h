#pragma once
#include "inline.h"

namespace qdylora {

// A fixed team of threads that lives as long as its backend: the caller is part 0, the others wait between
// calls (briefly spinning, then asleep).
// One JavaScript thread owns a team; teams of several threads are strangers to each other.
class Threads {
 public:
  // As many threads as the system grants, at most `count`.
  explicit Threads(int count, bool isBatchInvariant = false);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  QD_INLINE int count() const { return count_; }

  // True where a product must have the same bits however many rows come with a row: then no kernel is chosen
  // by the number of rows.
  QD_INLINE bool isBatchInvariant() const { return isBatchInvariant_; }

  // How many parts pay for `work` units when each part should have at least `grain`.
  QD_INLINE int partsFor(double work, double grain) const {
    const double most = work / grain;
    return most >= count_ ? count_ : most < 1 ? 1 : static_cast<int>(most);
  }

  // Calls body(part) for every part in [0, parts), each on its own thread, and returns when all have ended.
  // parts ≤ count(). Not to be nested.
  template <class Body>
  QD_INLINE void run(int parts, const Body& body) {
    if (parts <= 1) {
      parts_ = 1;
      body(0);
      return;
    }
    dispatch(parts, [](const void* b, int part) { (*static_cast<const Body*>(b))(part); }, &body);
  }

  // Inside run: waits until every part of this run has come here. Every part must call it equally often.
  QD_INLINE void barrier() {
    if (parts_ > 1) meet();
  }

 private:
  struct State;
  void dispatch(int parts, void (*call)(const void*, int), const void* body);
  void meet();
  State* state_;
  int count_;
  bool isBatchInvariant_;
  int parts_ = 1;
};

}  // namespace qdylora
