// The prebuilt addon is linked on a newer system than it runs on. glibc gave `log` and `pow` new versions in
//   2.29 (without the old error handling; the same numbers); those of 2.2.5 are
// still there, and taking them keeps the floor at 2.28, which is Node's own. Linked with --wrap=log
//   --wrap=pow by scripts/pack-prebuilt.mjs.
extern "C" {
double oldLog(double);
double oldPow(double, double);
__asm__(".symver oldLog, log@GLIBC_2.2.5");
__asm__(".symver oldPow, pow@GLIBC_2.2.5");
double __wrap_log(double x) { return oldLog(x); }
double __wrap_pow(double x, double y) { return oldPow(x, y); }
}
