{
  # Kernels: no exceptions, no errno, and no contraction behind our back: every FMA is written as one (native/simd.h), so results are what the source says.
  'cflags_cc': ['-fno-exceptions', '-fno-rtti', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=off', '-fPIC'],
  'xcode_settings': { 'GCC_ENABLE_CPP_EXCEPTIONS': 'NO', 'GCC_ENABLE_CPP_RTTI': 'NO', 'OTHER_CPLUSPLUSFLAGS': ['-fno-math-errno', '-ffp-contract=off'] }
}
