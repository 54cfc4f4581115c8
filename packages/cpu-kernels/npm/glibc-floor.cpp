// Keeps the prebuilt addon usable on glibc 2.28, the oldest that Node supports, although it is linked on a
// newer system. glibc 2.29 gave `exp`, `log` and `pow` new versions (same results, without the old error
// handling). The versions of 2.2.5 still exist, and the addon uses them. scripts/pack-prebuilt.mjs links with
// --wrap for each of them.
extern "C" {
double oldExp(double);
double oldLog(double);
double oldPow(double, double);
__asm__(".symver oldExp, exp@GLIBC_2.2.5");
__asm__(".symver oldLog, log@GLIBC_2.2.5");
__asm__(".symver oldPow, pow@GLIBC_2.2.5");
double __wrap_exp(double x) { return oldExp(x); }
double __wrap_log(double x) { return oldLog(x); }
double __wrap_pow(double x, double y) { return oldPow(x, y); }
}
