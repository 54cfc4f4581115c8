// `npm run test:sanitizers -- [address|thread] [vitest arguments]`: builds the addon with AddressSanitizer
// and UndefinedBehaviorSanitizer, then with ThreadSanitizer, and runs the addon's tests under each. The
// sources are copied to build/sanitizers/<name>, so that the ordinary build stays as it is. Ends with 1 where
// a test fails or a sanitizer reports anything.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyChanged } from './copy-changed.mjs';
import { COMPILERS, findCompiler } from './find-compiler.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = findCompiler(process.env);
const COMMON = '-g1 -O1 -fno-omit-frame-pointer';

const SANITIZERS = {
  address: {
    says: 'AddressSanitizer and UndefinedBehaviorSanitizer',
    flags: '-fsanitize=address,undefined -fno-sanitize-recover=undefined',
    libraries: ['libasan.so', 'libubsan.so'],
    // Node keeps its heap until it ends, which is no leak of the addon. GCC 12 aligns what it moves off the
    // stack for detect_stack_use_after_return to 32 bytes, and then reads it by instructions that need 64
    // (GCC bug 110027): the addon would end in its own instrumentation.
    env: (log) => ({
      ASAN_OPTIONS: `detect_leaks=0:halt_on_error=1:detect_stack_use_after_return=0:log_path=${log}`,
      UBSAN_OPTIONS: `halt_on_error=1:print_stacktrace=1:log_path=${log}`,
      QDYLORA_TEST_REGION_BYTES: '1',
    }),
  },
  thread: {
    says: 'ThreadSanitizer',
    flags: '-fsanitize=thread',
    libraries: ['libtsan.so'],
    env: (log) => ({
      TSAN_OPTIONS: [
        'ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=0',
        `suppressions=${join(root, 'test/sanitizers/thread.supp')}`,
        `log_path=${log}`,
      ].join(':'),
    }),
  },
};

/** The package as it stands, without what a build made; its own dependencies are found above it. */
function copyPackage(folder) {
  for (const name of ['addon', 'kernels', 'native', 'scripts', 'src', 'test'])
    copyChanged(join(root, name), join(folder, name));
  for (const name of ['package.json', 'levels.json']) copyFileSync(join(root, name), join(folder, name));
  writeFileSync(join(folder, 'vitest.config.ts'), "export { default } from '../../../vitest.config.ts';\n");
  if (!existsSync(join(folder, 'node_modules')))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
}

const run = (command, args, options) =>
  spawnSync(command, args, { stdio: 'inherit', ...options }).status ?? 1;

/** The library's real file: a linker script or a bare name cannot be preloaded. */
function libraryPath(name) {
  const [command, ...words] = compiler.split(/\s+/);
  const path = spawnSync(command, [...words, `-print-file-name=${name}`], {
    encoding: 'utf8',
  }).stdout?.trim();
  if (!path?.includes('/'))
    throw new Error(`[sanitizers] ${compiler} has no ${name}: install the compiler's sanitizer libraries.`);
  return path;
}

function check(name, { says, flags, libraries, env }, vitestArguments) {
  const folder = join(root, 'build', 'sanitizers', name);
  const logs = join(folder, 'reports');
  console.log(`[sanitizers] ${says}: building (${COMMON} ${flags}) …`);
  copyPackage(folder);
  const built = run(process.execPath, ['scripts/build-addon.mjs'], {
    cwd: folder,
    env: { ...process.env, CXXFLAGS: `${COMMON} ${flags}`, LDFLAGS: flags },
  });
  if (built !== 0) return [`${name}: the addon was not built`];
  rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs);
  const preload = libraries.map(libraryPath).join(':');
  console.log(`[sanitizers] ${says}: vitest run ${vitestArguments.join(' ')} with LD_PRELOAD=${preload}`);
  const status = run(
    process.execPath,
    [
      join(root, '..', '..', 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      '--pool=forks',
      '--testTimeout=1200000',
      '--hookTimeout=600000',
      ...vitestArguments,
    ],
    { cwd: folder, env: { ...process.env, ...env(join(logs, 'report')), LD_PRELOAD: preload } },
  );
  const reports = readdirSync(logs).map((file) => readFileSync(join(logs, file), 'utf8'));
  // a frame has the addon's name, or one of its functions'
  const addonReports = reports.filter((report) => /qdylora_cpu\.node|qdylora::/.test(report));
  for (const report of addonReports) console.log(report.slice(0, 8000));
  console.log(
    `[sanitizers] ${says}: tests ended with ${status}; ${addonReports.length} reports about the addon, ` +
      `${reports.length - addonReports.length} about Node alone.`,
  );
  return [
    ...(status === 0 ? [] : [`${name}: the tests ended with ${status}`]),
    ...(addonReports.length ? [`${name}: ${addonReports.length} reports about the addon`] : []),
  ];
}

if (!compiler) throw new Error(`[sanitizers] No C++ compiler was found (${COMPILERS.join(', ')}).`);
const names = process.argv.slice(2).filter((argument) => argument in SANITIZERS);
const rest = process.argv.slice(2).filter((argument) => !(argument in SANITIZERS));
const problems = Object.entries(SANITIZERS)
  .filter(([name]) => !names.length || names.includes(name))
  .flatMap(([name, sanitizer]) => check(name, sanitizer, rest));
console.log(problems.length ? `[sanitizers] ${problems.join('; ')}.` : '[sanitizers] clean.');
process.exitCode = problems.length ? 1 : 0;
