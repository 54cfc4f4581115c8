{
  # Kernels: no exceptions and no errno. Nothing is contracted: every fused multiply-add is written as one (native/simd.h), so results are those of the source.
  'cflags_cc': ['-fno-exceptions', '-fno-rtti', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=off', '-fPIC'],
  'xcode_settings': { 'GCC_ENABLE_CPP_EXCEPTIONS': 'NO', 'GCC_ENABLE_CPP_RTTI': 'NO', 'OTHER_CPLUSPLUSFLAGS': ['-fno-math-errno', '-ffp-contract=off'] }
}
