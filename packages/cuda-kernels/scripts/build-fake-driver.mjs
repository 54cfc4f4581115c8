// Compiles the driver that works without a GPU, for tests: `node scripts/build-fake-driver.mjs` in the
// package folder prints the folder with libcuda.so.1 and libcublasLt.so.12. Beside them is images.bin: the
// archive's cubins, each with PTX of the same source, which the emulator runs in its place.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { emulatorPart } from './build-emulator.mjs';
import { compileShared, filesIn, findCompiler } from './compile-shared.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'fake-driver');

const numberOf = (target) => Number(target.split('_')[1]);

/** Records of: number of the architecture, cubin, PTX; each of the two after its length. */
function packImages() {
  const archive = readFileSync(join(root, 'prebuilt', 'cubins.bin'));
  const { images } = JSON.parse(readFileSync(join(root, 'prebuilt', 'index.json'), 'utf8'));
  const imageOf = ({ offset, packedBytes }) =>
    brotliDecompressSync(archive.subarray(offset, offset + packedBytes));
  const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
  return Buffer.concat(
    images
      .filter(({ target }) => target.startsWith('sm_'))
      .flatMap(({ source, target, ...place }) => {
        const ptx = images
          .filter((one) => one.source === source && one.target.startsWith('compute_'))
          .filter((one) => numberOf(one.target) <= numberOf(target))
          .sort((a, b) => numberOf(b.target) - numberOf(a.target))[0];
        const [cubin, text] = [imageOf(place), imageOf(ptx)];
        return [u32(numberOf(target)), u32(cubin.length), cubin, u32(text.length), text];
      }),
  );
}

function writeImages(file) {
  if (existsSync(file)) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.${process.pid}`, packImages());
  renameSync(`${file}.${process.pid}`, file);
}

/** The same library under the name of cuBLASLt, whose calls it has too: both share the device. */
function linkCublas(directory) {
  try {
    symlinkSync('libcuda.so.1', join(directory, 'libcublasLt.so.12'));
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}

/** The path of libcuda.so.1, or null where there is no compiler. */
export async function buildFakeDriver() {
  const compiler = findCompiler();
  if (!compiler || process.platform !== 'linux') return null;
  const emulator = emulatorPart();
  const index = createHash('sha256').update(readFileSync(join(root, 'prebuilt', 'index.json')));
  const images = index.digest('hex').slice(0, 8);
  const library = await compileShared({
    compiler,
    parts: [
      { ...emulator, sources: emulator.sources.filter((path) => !path.endsWith('addon.cpp')) },
      {
        sources: filesIn(folder, '.cpp'),
        headers: [...emulator.headers, ...filesIn(folder, '.h')],
        flags: emulator.flags,
      },
    ],
    libraries: ['-ldl', '-pthread'],
    output: (hash) => join(folder, 'build', `${hash}-${images}`, 'libcuda.so.1'),
  });
  writeImages(join(dirname(library), 'images.bin'));
  linkCublas(dirname(library));
  return library;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const library = await buildFakeDriver();
  console.log(library ? dirname(library) : '[build-fake-driver] none: it needs Linux and a C++ compiler.');
}
