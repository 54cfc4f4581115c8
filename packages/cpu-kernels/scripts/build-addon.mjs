// Compiles the addon: `node scripts/build-addon.mjs [--own-level] [--force] [--verbose]` in the package
// folder. Needs no network.
// - Every instruction level that the compiler knows is built. A level for tests, which stands in for another
//   one, is built only where this machine lacks the other one. `--own-level` builds only the one that this
//   machine will use, in a seventh of the time; a later full build compiles the others and links again.
// - Where there is no compiler it prints one line and ends with 0: the TypeScript reference is used then.
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { COMPILERS, compilerVersion, findCompiler } from './find-compiler.mjs';
import { findNodeHeaders } from './find-node-headers.mjs';
import { findOwnLevel, findTestedLevels } from './find-own-level.mjs';
import { LEVELS } from './level-table.mjs';
import { writeLevelSources } from './write-level-sources.mjs';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));
const addon = join(root, 'addon');
const build = join(addon, 'build');
const binary = join(build, 'Release', 'qdylora_cpu.node');
const recordFile = join(build, 'levels.json');
const { ownLevelOnly, force, verbose } = readFlags();
const env = { ...process.env };

function readFlags() {
  const flag = { type: 'boolean', default: false };
  try {
    const { values } = parseArgs({ options: { 'own-level': flag, force: flag, verbose: flag } });
    return { ownLevelOnly: values['own-level'], force: values.force, verbose: values.verbose };
  } catch (error) {
    console.error(`[build-addon] ${error.message}. The flags are --own-level, --force and --verbose.`);
    process.exit(2);
  }
}

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
  hash.update(readFileSync(join(root, 'levels.json')));
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

function fail(line) {
  console.error(`[build-addon] ${line}`);
  process.exit(1);
}

/** Levels that the compiler refuses, with its reason. */
function refusedLevels(compiler) {
  const reasonFor = ({ name, flags }) => {
    if (name === 'generic') return '';
    return process.arch === 'x64' ? refusal(compiler, flags) : `not for ${process.arch}`;
  };
  const reasons = LEVELS.map((level) => [level.name, reasonFor(level)]);
  return Object.fromEntries(reasons.filter(([, reason]) => reason));
}

/** Configures and compiles. Ends the process where the compiler fails. */
function runGyp(compiler) {
  // outranks npm_config_nodedir and --nodedir
  env.npm_package_config_node_gyp_nodedir = findNodeHeaders(env, build);
  if (!env.npm_config_nodedir) delete env.npm_config_nodedir; // an empty value would override
  env.CXX = compiler;
  const script = require.resolve('node-gyp/bin/node-gyp.js');
  const stdio = verbose ? 'inherit' : 'pipe';
  for (const step of [['configure'], ['build', `--jobs=${availableParallelism()}`]]) {
    const args = [script, ...step, '--release'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: addon,
      env,
      encoding: 'utf8',
      stdio,
      maxBuffer: 2 ** 28,
    });
    if (status === 0) continue;
    const messages = (stderr ?? '').split('\n').filter((line) => !line.startsWith('gyp info'));
    console.error(`${stdout ?? ''}\n${messages.join('\n')}`);
    fail('the compiler failed on the kernels (above).');
  }
}

const compiler = findCompiler(env);
if (process.platform === 'win32')
  finish('no native kernels on Windows yet: the TypeScript backend will be used.');
if (!compiler || refusal(compiler, []))
  finish(
    `no C++17 compiler found (tried ${env.CXX || COMPILERS.join(', ')}): the TypeScript backend will be ` +
      'used.',
  );

await takeTurn(join(build, 'lock')).catch(({ message }) =>
  fail(`the build folder is not writable: ${message}`),
);
const version = compilerVersion(compiler);
const hash = sourceHash(version);
const record = existsSync(recordFile) ? JSON.parse(readFileSync(recordFile, 'utf8')) : {};
const isCurrent = !force && record.hash === hash && existsSync(binary);
const leftOut = isCurrent ? record.leftOut : refusedLevels(compiler);
const available = LEVELS.map(({ name }) => name).filter((name) => !(name in leftOut));
const levels = ownLevelOnly
  ? [findOwnLevel(root, compiler, available)]
  : findTestedLevels(root, compiler, available);
if (isCurrent && levels.every((level) => record.levels.includes(level)))
  finish(`unchanged (${record.levels.join(', ')}).`);

rmSync(recordFile, { force: true });
const { sources, kernels } = writeLevelSources(root, levels);
runGyp(compiler);
writeFileSync(recordFile, `${JSON.stringify({ hash, compiler: version, levels, leftOut }, null, 2)}\n`);
const without = Object.entries(leftOut).map(([level, reason]) => `; without ${level} (${reason})`);
console.log(
  `[build-addon] ${kernels.length} functions from ${sources.length} sources for ${levels.join(', ')}` +
    `${without.join('')}.`,
);
