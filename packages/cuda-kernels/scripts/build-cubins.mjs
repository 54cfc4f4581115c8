// Compiles every kernel for every architecture into prebuilt/: `node scripts/build-cubins.mjs` in the package
// folder. Needs Python 3 with pip and, the first time, a network; no toolkit, no driver, no GPU.
// - NVRTC comes from PyPI into QDYLORA_NVRTC_DIR (default: a folder of the system's temporary one).
// - prebuilt/cubins.bin holds the images, each compressed by gzip; prebuilt/index.json says where each one
//   is, of which sources and by which compiler; prebuilt/registers.tsv has the registers of each kernel.
// The three files are committed: users and tests need none of the above.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { hashSources, listKernelSources } from './kernel-sources.mjs';
import { formatRegisterTable } from './register-table.mjs';

const NVRTC = 'nvidia-cuda-nvrtc-cu12==12.9.86';
/** V100, T4, A100, RTX 30, RTX 40, H100, B200, RTX 50. */
const CUBIN_TARGETS = ['sm_70', 'sm_75', 'sm_80', 'sm_86', 'sm_89', 'sm_90', 'sm_100', 'sm_120'];
/** PTX for the emulator, and for GPUs that are newer than the compiler. */
const PTX_TARGETS = ['compute_70', 'compute_80', 'compute_90'];
/** Of the archive; a committed file should stay small. */
const MOST_BYTES = 10 * 2 ** 20;

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

/** The path of libnvrtc, installed where it is missing. */
function installNvrtc() {
  const folder = process.env.QDYLORA_NVRTC_DIR || join(tmpdir(), 'qdylora-nvrtc');
  const library = join(folder, 'nvidia', 'cuda_nvrtc', 'lib', 'libnvrtc.so.12');
  if (!existsSync(library))
    run('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, NVRTC]);
  return library;
}

function compileAll(library) {
  const empty = mkdtempSync(join(tmpdir(), 'qdylora-cubins-'));
  const jobs = {
    includes: [join(root, 'src', 'device')],
    sources: listKernelSources(root).map(({ name, path }) => ({ name, path: join(root, path) })),
    targets: [...CUBIN_TARGETS, ...PTX_TARGETS],
  };
  const script = join(root, 'scripts', 'compile-with-nvrtc.py');
  try {
    return JSON.parse(run('python3', [script, library], { input: JSON.stringify(jobs), cwd: empty }));
  } finally {
    rmSync(empty, { recursive: true });
  }
}

/** The archive and the place of each image in it. */
function packImages(images) {
  const parts = [];
  let offset = 0;
  const entries = images.map(({ source, target, image }) => {
    const bytes = Buffer.from(image, 'base64');
    const packed = gzipSync(bytes, { level: 9 });
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

const { images } = compileAll(installNvrtc());
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
