// Compiles the addon: `node scripts/build-addon.mjs [--force] [--verbose]` in the package folder. Needs no
// network.
// Ends with 0 and one clear line where there is no compiler: the TypeScript reference then does the work.
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMPILERS, findCompiler } from './find-compiler.mjs';
import { findNodeHeaders } from './find-node-headers.mjs';
import { LEVEL_WIDTHS, writeLevelSources } from './write-level-sources.mjs';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));
const addon = join(root, 'addon');
const build = join(addon, 'build');
const binary = join(build, 'Release', 'qdylora_cpu.node');
const record = join(build, 'levels.json');
const force = process.argv.includes('--force');
const verbose = process.argv.includes('--verbose');
const env = { ...process.env };

/** Flags by level, as in binding.gyp: here only to ask the compiler whether it knows them. */
const AVX2 = ['-mavx2', '-mfma', '-mf16c'];
const AVX512 = [...AVX2, '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq'];
const AVX512_BF16 = [...AVX512, '-mavx512bf16', '-mavx512vbmi'];
const LEVEL_FLAGS = {
  generic: [],
  avx2w16: AVX2,
  avx2_tiles: AVX2,
  avx2: AVX2,
  avx512: AVX512,
  avx512_bf16: AVX512_BF16,
  amx_bf16: [...AVX512_BF16, '-mamx-tile', '-mamx-bf16', '-mavx512vnni', '-mprfchw'],
};

function filesBelow(folder, pattern) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.name !== 'build')
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path, pattern) : pattern.test(entry.name) ? [path] : [];
    })
    .sort();
}

function sourceHash(compiler) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${compiler}\n`);
  for (const folder of ['addon', 'native', 'kernels', 'scripts']) {
    for (const file of filesBelow(join(root, folder), /\.(cpp|h|gyp|gypi|mjs)$/))
      hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

/**
 * Two builds in one folder would spoil each other: the second waits for the first (or takes over after ten
 * minutes).
 */
async function takeTurn(lock) {
  mkdirSync(build, { recursive: true });
  for (let waited = 0; ; waited++) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (waited > 3000 || !isRunning(lock)) {
      rmSync(lock, { recursive: true, force: true });
      continue;
    }
    await new Promise((wake) => setTimeout(wake, 200));
  }
  writeFileSync(join(lock, 'pid'), String(process.pid));
  process.on('exit', () => rmSync(lock, { recursive: true, force: true }));
}

function isRunning(lock) {
  try {
    process.kill(Number(readFileSync(join(lock, 'pid'), 'utf8')), 0);
    return true;
  } catch (error) {
    return error.code === 'ENOENT' || error.code === 'EPERM';
  }
}

/** Why the compiler refuses these flags, or '' where it takes them. */
function refusal(compiler, flags) {
  const [command, ...rest] = compiler.split(/\s+/);
  const { status, stderr, error } = spawnSync(
    command,
    [...rest, '-std=c++17', ...flags, '-x', 'c++', '-fsyntax-only', '-'],
    { input: flags.length ? '#include <immintrin.h>\n' : '', encoding: 'utf8' },
  );
  return status === 0 ? '' : (error?.message ?? stderr.split('\n')[0] ?? 'refused').trim();
}

function finish(line) {
  console.log(`[build-addon] ${line}`);
  process.exit(0);
}

const compiler = findCompiler(env);
if (process.platform === 'win32')
  finish('no native kernels on Windows yet: the TypeScript backend will be used.');
if (!compiler || refusal(compiler, []))
  finish(
    `no C++17 compiler found (tried ${env.CXX || COMPILERS.join(', ')}): the TypeScript backend will be used.`,
  );

await takeTurn(join(build, 'lock'));
const version = spawnSync(compiler.split(/\s+/)[0], ['--version'], { encoding: 'utf8' }).stdout.split(
  '\n',
)[0];
const hash = sourceHash(version);
const known = existsSync(record) ? JSON.parse(readFileSync(record, 'utf8')) : {};
if (!force && known.hash === hash && existsSync(binary)) finish(`unchanged (${known.levels.join(', ')}).`);

const leftOut = {};
for (const level of Object.keys(LEVEL_WIDTHS)) {
  const why =
    level === 'generic'
      ? ''
      : process.arch === 'x64'
        ? refusal(compiler, LEVEL_FLAGS[level])
        : `not for ${process.arch}`;
  if (why) leftOut[level] = why;
}
const levels = Object.keys(LEVEL_WIDTHS).filter((level) => !(level in leftOut));
rmSync(record, { force: true });
const { sources, kernels } = writeLevelSources(root, levels);

// outranks npm_config_nodedir and --nodedir
env.npm_package_config_node_gyp_nodedir = findNodeHeaders(env, build);
if (!env.npm_config_nodedir) delete env.npm_config_nodedir; // an empty value would override
env.CXX = compiler;
const gyp = (...args) =>
  spawnSync(process.execPath, [require.resolve('node-gyp/bin/node-gyp.js'), ...args], {
    cwd: addon,
    env,
    encoding: 'utf8',
    stdio: verbose ? 'inherit' : 'pipe',
  });
const flag = (level) => `-Dwith_${level}=${levels.includes(level) ? 1 : 0}`;
for (const result of [
  () =>
    gyp('configure', '--release', '--', flag('avx2'), flag('avx512'), flag('avx512_bf16'), flag('amx_bf16')),
  () => gyp('build', '--release', `--jobs=${availableParallelism()}`),
].map((step) => step())) {
  if (result.status === 0) continue;
  console.error(
    `${result.stdout ?? ''}\n${(result.stderr ?? '')
      .split('\n')
      .filter((line) => !line.startsWith('gyp info'))
      .join('\n')}`,
  );
  console.error('[build-addon] the compiler failed on the kernels (above).');
  process.exit(1);
}
writeFileSync(record, `${JSON.stringify({ hash, compiler: version, levels, leftOut }, null, 2)}\n`);
console.log(
  `[build-addon] ${kernels.length} functions from ${sources.length} sources for ${levels.join(', ')}${Object.entries(
    leftOut,
  )
    .map(([level, why]) => `; without ${level} (${why})`)
    .join('')}.`,
);
