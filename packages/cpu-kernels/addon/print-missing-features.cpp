#include <cstdio>

#include "../native/door/levels.h"

// Prints one line for each level named: what this machine lacks for it, empty where it can run the level.
// scripts/find-own-level.mjs compiles and runs it before there is an addon.
int main(int count, char** names) {
  for (int i = 1; i < count; i++) {
    char missing[256];
    qdylora::missingFeatures(names[i], missing);
    std::puts(missing);
  }
}
