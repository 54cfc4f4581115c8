#include "levels.h"

#include <cstring>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define QD_X86 1
#endif
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace qdylora {
namespace {

#ifdef QD_X86
struct Processor {
  bool avx2, fma, f16c, avx512f, avx512bw, avx512vl, avx512dq, avx512bf16, avx512vbmi, avx512vnni, amxTile,
      amxBf16, ymmState, zmmState, tileState;
};

// The operating system must save the wide registers too: CPUID says what the core has, XCR0 what the system
// keeps.
Processor readProcessor() {
  Processor p{};
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return p;
  const bool osxsave = c & (1u << 27);
  p.fma = c & (1u << 12);
  p.f16c = c & (1u << 29);
  unsigned xcr0 = 0, high = 0;
  if (osxsave) __asm__("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
  p.ymmState = (xcr0 & 0x6) == 0x6;
  p.zmmState = (xcr0 & 0xe6) == 0xe6;
  p.tileState = (xcr0 & 0x60000) == 0x60000;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return p;
  p.avx2 = b & (1u << 5);
  p.avx512f = b & (1u << 16);
  p.avx512dq = b & (1u << 17);
  p.avx512bw = b & (1u << 30);
  p.avx512vl = b & (1u << 31);
  p.avx512vbmi = c & (1u << 1);
  p.avx512vnni = c & (1u << 11);
  p.amxBf16 = d & (1u << 22);
  p.amxTile = d & (1u << 24);
  p.avx512bf16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5));
  return p;
}

// Linux gives a process its tile registers only when asked (ARCH_REQ_XCOMP_PERM of XTILEDATA); threads that
// start later have them too.
bool requestTiles() {
#if defined(__linux__) && defined(__x86_64__)
  return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
  return false;
#endif
}
#endif

void note(char* text, bool present, const char* feature) {
  if (present) return;
  if (*text) std::strcat(text, ", ");
  std::strcat(text, feature);
}

}  // namespace

void missingFeatures(const char* level, char* text) {
  *text = 0;
  if (!std::strcmp(level, "generic")) return;
#ifdef QD_X86
  const Processor p = readProcessor();
  note(text, p.avx2, "AVX2");
  note(text, p.fma, "FMA");
  note(text, p.f16c, "F16C");
  note(text, p.ymmState, "256-bit register state");
  // avx2, and those of tests: the same instructions
  if (std::strncmp(level, "avx512", 6) && std::strcmp(level, "amx_bf16")) return;
  note(text, p.avx512f, "AVX-512F");
  note(text, p.avx512bw, "AVX-512BW");
  note(text, p.avx512vl, "AVX-512VL");
  note(text, p.avx512dq, "AVX-512DQ");
  note(text, p.zmmState, "512-bit register state");
  if (!std::strcmp(level, "avx512")) return;
  note(text, p.avx512bf16, "AVX-512 BF16");
  note(text, p.avx512vbmi, "AVX-512 VBMI");
  note(text, p.avx512vnni, "AVX-512 VNNI");
  if (std::strcmp(level, "amx_bf16")) return;
  note(text, p.amxTile, "AMX-TILE");
  note(text, p.amxBf16, "AMX-BF16");
  const bool saved = p.amxTile && p.amxBf16 && p.tileState;
  note(text, saved, "tile register state");
  if (saved) note(text, requestTiles(), "the system's leave to use tiles");
#else
  note(text, false, "an x86-64 processor");
#endif
}

}  // namespace qdylora
