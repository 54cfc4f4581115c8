#pragma once
#include "outgoing.h"

namespace qdylora::QD_LEVEL {

// Below this many elements per thread, waking it costs more than it saves (about 5 µs, Zen 3, 2026).
constexpr double ELEMENTWISE_GRAIN = 32768;

// Calls body(i, n) for consecutive runs of n elements from i on: n = WIDTH, and fewer once at the end of the
// array. Each thread has one contiguous share.
// Bodies read with loadFirst(p, n) and write with storeFirst(p, v, n), which are plain loads and stores where
// n is WIDTH, or through an Outgoing. They capture by value.
template <class Body>
QD_INLINE void elementwise(Threads& threads, Size count, const Body& body) {
  const int parts = threads.partsFor(static_cast<double>(count), ELEMENTWISE_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(count, parts, part, 64);
    const Body partBody(body);  // what it holds stays in registers: no store can change it
    Size i = range.begin;
    for (; i + WIDTH <= range.end; i += WIDTH) partBody(i, WIDTH);
    if (i < range.end) partBody(i, static_cast<int>(range.end - i));
    streamFence();
  });
}

}  // namespace qdylora::QD_LEVEL
