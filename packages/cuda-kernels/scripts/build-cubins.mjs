// Compiles every kernel for every architecture into prebuilt/: `node scripts/build-cubins.mjs` in the package
// folder. Needs Python 3 with pip and, the first time, a network; no toolkit, no driver, no GPU.
// - NVRTC comes from PyPI into QDYLORA_NVRTC_DIR (default: a folder of the system's temporary one).
// - Each compiled image is kept there, so a build that was ended goes on where it was, and the next one
//   compiles only what changed. All images take half an hour of one core.
// - prebuilt/cubins.bin holds the images, each compressed by brotli; prebuilt/index.json says where each one
//   is, of which sources and by which compiler; prebuilt/registers.tsv has the registers of each kernel.
// The three files are committed: users and tests need none of the above.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { hashSources, listKernelSources, textWithHeaders } from './kernel-sources.mjs';
import { formatRegisterTable } from './register-table.mjs';

const NVRTC = 'nvidia-cuda-nvrtc-cu12==12.9.86';
/** V100, T4, A100, RTX 30, RTX 40, H100, B200, RTX 50. */
const CUBIN_TARGETS = ['sm_70', 'sm_75', 'sm_80', 'sm_86', 'sm_89', 'sm_90', 'sm_100', 'sm_120'];
/** PTX for the emulator, and for GPUs that are newer than the compiler. compute_90 would be the same. */
const PTX_TARGETS = ['compute_70', 'compute_75', 'compute_80'];
/** Of the archive; a committed file should stay small. */
const MOST_BYTES = 10 * 2 ** 20;
/** 27 % smaller than gzip (7.2 to 5.3 MB in 2026), whose window is smaller than an image. */
const COMPRESSION = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };

const root = fileURLToPath(new URL('..', import.meta.url));

function run(command, args, options) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 29,
    ...options,
  });
  if (status === 0) return stdout;
  console.error(`[build-cubins] ${command} failed: ${error?.message ?? stderr}`);
  process.exit(1);
}

const folder = process.env.QDYLORA_NVRTC_DIR || join(tmpdir(), 'qdylora-nvrtc');

/** The path of libnvrtc, installed where it is missing. */
function installNvrtc() {
  const library = join(folder, 'nvidia', 'cuda_nvrtc', 'lib', 'libnvrtc.so.12');
  if (!existsSync(library))
    run('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, NVRTC]);
  return library;
}

/** Where the image of a source for a target is kept, by everything that it is made of. */
function keptImage(path, target) {
  const parts = [NVRTC, target, textWithHeaders(root, path)];
  const hash = createHash('sha256').update(parts.join('\n')).digest('hex');
  return join(folder, 'images', `${hash}.json`);
}

/** Compiles a source for some targets, and keeps the images. */
function compile(library, { name, path }, targets) {
  if (targets.length === 0) return;
  const empty = mkdtempSync(join(tmpdir(), 'qdylora-cubins-'));
  const jobs = {
    includes: [join(root, 'src', 'device')],
    sources: [{ name, path: join(root, path) }],
    targets,
  };
  const script = join(root, 'scripts', 'compile-with-nvrtc.py');
  try {
    const { images } = JSON.parse(
      run('python3', [script, library], { input: JSON.stringify(jobs), cwd: empty }),
    );
    for (const { target, ...image } of images)
      writeFileSync(keptImage(path, target), JSON.stringify({ target, ...image }));
  } finally {
    rmSync(empty, { recursive: true });
  }
}

function compileAll(library) {
  mkdirSync(join(folder, 'images'), { recursive: true });
  const targets = [...CUBIN_TARGETS, ...PTX_TARGETS];
  return listKernelSources(root).flatMap((source) => {
    const missing = targets.filter((target) => !existsSync(keptImage(source.path, target)));
    compile(library, source, missing);
    return targets.map((target) => JSON.parse(readFileSync(keptImage(source.path, target), 'utf8')));
  });
}

/** The archive and the place of each image in it. */
function packImages(images) {
  const parts = [];
  let offset = 0;
  const entries = images.map(({ source, target, image }) => {
    const bytes = Buffer.from(image, 'base64');
    const packed = brotliCompressSync(bytes, COMPRESSION);
    const entry = {
      source,
      target,
      offset,
      packedBytes: packed.length,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    };
    parts.push(packed);
    offset += packed.length;
    return entry;
  });
  return { archive: Buffer.concat(parts), entries };
}

const images = compileAll(installNvrtc());
const { archive, entries } = packImages(images);
if (archive.length > MOST_BYTES) {
  console.error(`[build-cubins] the archive has ${archive.length} bytes, ${MOST_BYTES} at most.`);
  process.exit(1);
}
const index = { compiler: NVRTC, sources: hashSources(root), images: entries };
mkdirSync(join(root, 'prebuilt'), { recursive: true });
writeFileSync(join(root, 'prebuilt', 'cubins.bin'), archive);
writeFileSync(join(root, 'prebuilt', 'index.json'), `${JSON.stringify(index, null, 1)}\n`);
writeFileSync(join(root, 'prebuilt', 'registers.tsv'), formatRegisterTable(images));
console.log(`[build-cubins] ${entries.length} images of ${index.compiler}, ${archive.length} bytes.`);
