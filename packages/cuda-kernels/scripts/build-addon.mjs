// Compiles the addon that opens the driver: `node scripts/build-addon.mjs` in the package folder. Quick where
// nothing changed. Needs a C++17 compiler; no CUDA, no GPU, no network. Where there is none, or on a system
// other than Linux, it prints one line and ends with 0: the cpu backend is used then.
import { copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileShared, filesIn, findCompiler } from './compile-shared.mjs';

const folder = fileURLToPath(new URL('../addon', import.meta.url));
/** Where `src/addon/load-addon.ts` looks. */
const addon = join(folder, 'build', 'qdylora_cuda.node');

/** The path of the addon, or `{ why }` where it cannot be built. */
export async function buildAddon() {
  if (process.platform !== 'linux') return { why: `CUDA is not supported on ${process.platform} yet` };
  const compiler = findCompiler();
  if (!compiler) return { why: 'no C++17 compiler found' };
  const { include_dir: include } = createRequire(import.meta.url)('node-api-headers');
  const path = await compileShared({
    compiler,
    parts: [
      {
        sources: filesIn(folder, '.cpp'),
        headers: filesIn(folder, '.h'),
        flags: ['-DNAPI_VERSION=8', `-I${include}`],
      },
    ],
    libraries: ['-ldl'],
    output: (hash) => join(folder, 'build', `qdylora_cuda-${hash}.node`),
  });
  if (!existsSync(addon) || !readFileSync(path).equals(readFileSync(addon))) {
    copyFileSync(path, `${addon}.new`); // not written over: a process may have it loaded
    renameSync(`${addon}.new`, addon);
  }
  return { path: addon };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { path, why } = await buildAddon();
  console.log(
    `[build-addon] ${path ? `cuda: ${path}` : `cuda: none, ${why}: the cpu backend will be used`}.`,
  );
}
