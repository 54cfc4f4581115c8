// Compiles the PTX emulator that the tests use: `node scripts/build-emulator.mjs` in the package folder.
// Quick where nothing changed. Needs a C++17 compiler and no network.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileShared, filesIn, findCompiler } from './compile-shared.mjs';

const folder = fileURLToPath(new URL('../emulator', import.meta.url));

/**
 * What the emulator is compiled from, `addon.cpp` included. Products and sums of the emulated kernels keep
 * their own roundings.
 */
export function emulatorPart() {
  const { include_dir: include } = createRequire(import.meta.url)('node-api-headers');
  return {
    sources: filesIn(folder, '.cpp'),
    headers: filesIn(folder, '.h'),
    flags: ['-ffp-contract=off', '-frounding-math', `-I${include}`, `-I${folder}`],
  };
}

/** The path of the addon, or null where there is no compiler. */
export async function buildEmulator() {
  const compiler = findCompiler();
  if (!compiler) return null;
  return compileShared({
    compiler,
    parts: [emulatorPart()],
    output: (hash) => join(folder, 'build', `emulator-${hash}.node`),
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(
    (await buildEmulator()) ?? '[build-emulator] no C++ compiler: the tests of the kernels are left out.',
  );
