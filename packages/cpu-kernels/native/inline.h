#pragma once

// Always inlined: the object file has no copy of such a function, so code of one instruction set cannot
// be linked into another's.
#define QD_INLINE inline __attribute__((always_inline))
// The same for a lambda: [&](int i) QD_INLINE_BODY { … }.
#define QD_INLINE_BODY __attribute__((always_inline))
