// Compiles C++ sources into a shared library, for the addon, the emulator and the fake driver. Each object is
// kept under a hash of all that it depends on, so libraries that share sources compile them once, and nothing
// is done where nothing changed.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const COMPILERS = ['g++', 'c++', 'clang++'];
const FLAGS = ['-std=c++17', '-O2', '-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra'];
const objectFolder = fileURLToPath(new URL('../build/objects', import.meta.url));

/** The compiler's command (CXX, else the first of three that is there), or undefined. */
export const findCompiler = () =>
  process.env.CXX || COMPILERS.find((name) => spawnSync(name, ['--version']).status === 0);

/** The files of a folder with this ending, with their paths, by rising name. */
export const filesIn = (folder, ending) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(ending))
    .sort()
    .map((file) => join(folder, file));

function run(command, args) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', fail);
    child.on('exit', (status) =>
      status === 0 ? done() : fail(new Error(`${command} ${args.join(' ')} failed with status ${status}`)),
    );
  });
}

/** `make(path)` writes the file in a folder of its own, so that two builds at a time do not disturb it. */
async function makeOnce(file, make) {
  if (existsSync(file)) return;
  mkdirSync(dirname(file), { recursive: true });
  const folder = mkdtempSync(join(dirname(file), 'new-'));
  try {
    await make(join(folder, basename(file)));
    renameSync(join(folder, basename(file)), file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The object of each source of a part, by the hash of the source, of its headers and of its flags. */
function objectsOf(words, { sources, headers, flags }) {
  const options = [...FLAGS, ...flags];
  const common = createHash('sha256').update(`${words.join(' ')} ${options.join(' ')} ${process.arch}`);
  for (const file of headers) common.update(basename(file)).update(readFileSync(file));
  return sources.map((source) => ({
    source,
    options,
    object: join(objectFolder, `${common.copy().update(readFileSync(source)).digest('hex')}.o`),
  }));
}

/**
 * Compiles all sources, two at a time, and links them.
 *
 * @param parts `{ sources, headers, flags }` each; `headers` are all files that its sources may include
 * @param output makes the path of the library from the hash of what it is made of
 * @returns that path
 */
export async function compileShared({ compiler, parts, libraries = [], output }) {
  const words = compiler.split(/\s+/);
  const [command, ...rest] = words;
  const objects = parts.flatMap((part) => objectsOf(words, part));
  const linked = [...objects.map(({ object }) => object), ...libraries];
  const hash = createHash('sha256').update(linked.join(' ')).digest('hex').slice(0, 16);
  const library = output(hash);
  await makeOnce(library, async (path) => {
    const waiting = [...objects];
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const { source, options, object } = next;
        await makeOnce(object, (to) => run(command, [...rest, ...options, '-c', source, '-o', to]));
      }
    };
    await Promise.all([work(), work()]);
    await run(command, [...rest, '-shared', ...linked, '-o', path]);
  });
  return library;
}
