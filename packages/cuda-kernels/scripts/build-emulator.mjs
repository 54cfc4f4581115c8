// Compiles the PTX emulator that the tests use: `node scripts/build-emulator.mjs` in the package folder.
// Quick where nothing changed. Needs a C++17 compiler and no network.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../emulator', import.meta.url));
const COMPILERS = ['g++', 'c++', 'clang++'];
/** Products and sums of the emulated kernels keep their own roundings. */
const FLAGS = ['-std=c++17', '-O2', '-fPIC', '-Wall', '-Wextra', '-ffp-contract=off', '-frounding-math'];

const filesOf = (ending) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(ending))
    .sort();

function compile(command, args) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', fail);
    child.on('exit', (status) =>
      status === 0 ? done() : fail(new Error(`${command} ${args.join(' ')} failed with status ${status}`)),
    );
  });
}

/** Objects of all sources, two compilers at a time. */
async function compileAll(compiler, include, into) {
  const waiting = filesOf('.cpp');
  const work = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift())
      await compile(compiler, [
        ...FLAGS,
        `-I${include}`,
        '-c',
        join(folder, file),
        '-o',
        join(into, `${file}.o`),
      ]);
  };
  await Promise.all([work(), work()]);
}

/** The path of the addon, or null where there is no compiler. */
export async function buildEmulator() {
  const compiler = process.env.CXX || COMPILERS.find((name) => spawnSync(name, ['--version']).status === 0);
  if (!compiler) return null;
  const hash = createHash('sha256').update(`${compiler} ${FLAGS.join(' ')} ${process.arch}`);
  for (const file of [...filesOf('.cpp'), ...filesOf('.h')]) hash.update(readFileSync(join(folder, file)));
  const build = join(folder, 'build');
  const addon = join(build, `emulator-${hash.digest('hex').slice(0, 16)}.node`);
  if (existsSync(addon)) return addon;
  mkdirSync(build, { recursive: true });
  const objects = mkdtempSync(join(build, 'objects-'));
  try {
    const { include_dir: include } = createRequire(import.meta.url)('node-api-headers');
    await compileAll(compiler, include, objects);
    const parts = readdirSync(objects).map((file) => join(objects, file));
    await compile(compiler, ['-shared', ...parts, '-o', join(objects, 'emulator.node')]);
    renameSync(join(objects, 'emulator.node'), addon);
  } finally {
    rmSync(objects, { recursive: true });
  }
  return addon;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(
    (await buildEmulator()) ?? '[build-emulator] no C++ compiler: the tests of the kernels are left out.',
  );
