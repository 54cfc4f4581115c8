// Compiles the addons of MPI and NCCL: `node scripts/build-addon.mjs` in the package folder. It writes
// prebuilt/<platform>-<arch>/{mpi,nccl}.node and the hash of their sources. Needs a C++17 compiler, but
// neither MPI, CUDA nor a network.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const native = join(root, 'native');
const COMPILERS = ['g++', 'c++', 'clang++'];
/** No library beside libc: the addons run on glibc 2.28 and newer, whatever built them. */
const FLAGS = [
  '-std=c++17',
  '-O2',
  '-fPIC',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-fno-exceptions',
  '-fno-rtti',
];
const LINKS = ['-shared', '-s', '-nodefaultlibs', '-lc'];

const ADDONS = ['mpi', 'nccl'];

const sources = () =>
  readdirSync(native, { recursive: true })
    .filter((file) => /\.(cpp|c|h)$/.test(file))
    .sort();

/** Of the sources that the addons are compiled from. */
export function sourceHash() {
  const hash = createHash('sha256').update([...FLAGS, ...LINKS].join(' '));
  for (const file of sources()) hash.update(`\0${file}\0`).update(readFileSync(join(native, file)));
  return hash.digest('hex');
}

/** @returns the folder of the addons */
export function buildAddons() {
  const compiler = process.env.CXX || COMPILERS.find((name) => spawnSync(name, ['--version']).status === 0);
  if (!compiler)
    throw new Error(`There is no C++ compiler (tried ${COMPILERS.join(', ')}). Name one with CXX.`);
  const { include_dir: include } = createRequire(import.meta.url)('node-api-headers');
  const folder = join(root, 'prebuilt', `${process.platform}-${process.arch}`);
  mkdirSync(folder, { recursive: true });
  for (const addon of ADDONS) {
    const inputs = sources()
      .filter((file) => file.startsWith(`${addon}/`) && file.endsWith('.cpp'))
      .map((file) => join(native, file));
    const args = [...FLAGS, `-I${include}`, ...inputs, '-o', join(folder, `${addon}.node`), ...LINKS];
    if (process.platform === 'darwin') args.push('-undefined', 'dynamic_lookup');
    const { status, error } = spawnSync(compiler, args, { stdio: 'inherit' });
    if (status !== 0) throw error ?? new Error(`${compiler} ended with status ${status}.`);
  }
  writeFileSync(join(folder, 'sources.sha256'), `${sourceHash()}\n`);
  return folder;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log(buildAddons());
  } catch (error) {
    console.error(`[build-addon] ${error.message}`);
    process.exitCode = 1;
  }
}
