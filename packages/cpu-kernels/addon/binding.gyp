{
  # Built by scripts/build-addon.mjs. It writes build/generated: one target for each level that is built now, and the list of them.
  'includes': ['build/generated/levels.gypi'],
  'target_defaults': {
    'cflags_cc!': ['-fno-rtti', '-std=gnu++17', '-std=gnu++20', '-std=gnu++1y'],
    'cflags!': ['-fno-omit-frame-pointer'],
    'cflags_cc': ['-std=c++17', '-O3', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wno-psabi'],
    'defines': ['NAPI_VERSION=8'],
    'xcode_settings': { 'CLANG_CXX_LANGUAGE_STANDARD': 'c++17', 'GCC_OPTIMIZATION_LEVEL': '3', 'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES' }
  },
  'targets': [
    {
      'target_name': 'qdylora_cpu',
      # std::thread reports a full system by an exception, which thread-pool.cpp turns into fewer threads. No exception leaves native code.
      'cflags_cc!': ['-fno-exceptions'],
      'xcode_settings': { 'GCC_ENABLE_CPP_EXCEPTIONS': 'YES' },
      'sources': [
        '../native/door/addon.cpp', '../native/door/large-pages.cpp', '../native/door/levels.cpp',
        '../native/door/node-binding.cpp', '../native/door/program.cpp', '../native/door/region.cpp',
        '../native/door/reserve-file.cpp', '../native/thread-pool.cpp', 'build/generated/levels.cpp'
      ],
      'dependencies': ['<@(level_targets)']
    }
  ]
}
