{
  # Built by scripts/build-addon.mjs, which writes build/generated and says which levels the compiler can make.
  'variables': {
    'with_avx2%': 1, 'with_avx512%': 1, 'with_avx512_bf16%': 1, 'with_amx_bf16%': 1,
    'avx2_flags': ['-mavx2', '-mfma', '-mf16c'],
    'avx512_flags': ['-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mavx2', '-mfma', '-mf16c'],
    'bf16_flags': ['-mavx512bf16', '-mavx512vbmi'],
    'amx_flags': ['-mamx-tile', '-mamx-bf16', '-mavx512vnni', '-mprfchw']
  },
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
      # std::thread reports a full system by an exception, which thread-pool.cpp turns into fewer threads; no exception leaves native code.
      'cflags_cc!': ['-fno-exceptions'],
      'xcode_settings': { 'GCC_ENABLE_CPP_EXCEPTIONS': 'YES' },
      'sources': [
        '../native/addon.cpp', '../native/large-pages.cpp', '../native/levels.cpp', '../native/node-binding.cpp', '../native/program.cpp', '../native/region.cpp', '../native/reserve-file.cpp', '../native/thread-pool.cpp',
        'build/generated/levels.cpp'
      ],
      'dependencies': ['level_generic'],
      'conditions': [
        ['with_avx2==1', { 'dependencies': ['level_avx2', 'level_avx2w16', 'level_avx2_tiles'] }],
        ['with_avx512==1', { 'dependencies': ['level_avx512'] }],
        ['with_avx512_bf16==1', { 'dependencies': ['level_avx512_bf16'] }],
        ['with_amx_bf16==1', { 'dependencies': ['level_amx_bf16'] }]
      ]
    },
    {
      'target_name': 'level_generic', 'type': 'static_library', 'includes': ['level.gypi'],
      'sources': ['<!@(node ../scripts/list-level-sources.mjs generic)']
    }
  ],
  'conditions': [
    ['with_avx2==1', { 'targets': [
      {
        'target_name': 'level_avx2', 'type': 'static_library', 'includes': ['level.gypi'],
        'sources': ['<!@(node ../scripts/list-level-sources.mjs avx2)'],
        'cflags_cc': ['<@(avx2_flags)'], 'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<@(avx2_flags)'] }
      },
      {
        'target_name': 'level_avx2w16', 'type': 'static_library', 'includes': ['level.gypi'],
        'sources': ['<!@(node ../scripts/list-level-sources.mjs avx2w16)'],
        'cflags_cc': ['<@(avx2_flags)'], 'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<@(avx2_flags)'] }
      },
      {
        'target_name': 'level_avx2_tiles', 'type': 'static_library', 'includes': ['level.gypi'],
        'sources': ['<!@(node ../scripts/list-level-sources.mjs avx2_tiles)'],
        'cflags_cc': ['<@(avx2_flags)'], 'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<@(avx2_flags)'] }
      }
    ] }],
    ['with_avx512==1', { 'targets': [
      {
        'target_name': 'level_avx512', 'type': 'static_library', 'includes': ['level.gypi'],
        'sources': ['<!@(node ../scripts/list-level-sources.mjs avx512)'],
        'cflags_cc': ['<@(avx512_flags)'],
        'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<@(avx512_flags)'] }
      }
    ] }],
    ['with_amx_bf16==1', { 'targets': [
      {
        'target_name': 'level_amx_bf16', 'type': 'static_library', 'includes': ['level.gypi'],
        'sources': ['<!@(node ../scripts/list-level-sources.mjs amx_bf16)'],
        'cflags_cc': ['<@(avx512_flags)', '<@(bf16_flags)', '<@(amx_flags)'],
        'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<@(avx512_flags)', '<@(bf16_flags)', '<@(amx_flags)'] }
      }
    ] }],
    ['with_avx512_bf16==1', { 'targets': [
      {
        'target_name': 'level_avx512_bf16', 'type': 'static_library', 'includes': ['level.gypi'],
        'sources': ['<!@(node ../scripts/list-level-sources.mjs avx512_bf16)'],
        'cflags_cc': ['<@(avx512_flags)', '<@(bf16_flags)'],
        'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<@(avx512_flags)', '<@(bf16_flags)'] }
      }
    ] }]
  ]
}
