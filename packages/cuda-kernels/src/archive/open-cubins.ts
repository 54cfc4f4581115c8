import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { QdyloraError } from '@qdylora/contract';
import { packagePath } from '../package-path.ts';
import type { CubinIndex } from './cubin-index.ts';
import { pickTarget, type ComputeCapability } from './pick-target.ts';

/** The compiled kernels of this package. */
export interface CubinArchive {
  readonly index: CubinIndex;
  /** `sm_70` … `compute_80`, in the order of the archive. */
  readonly targets: readonly string[];
  /** The target that a device of this capability runs. See `pickTarget`. */
  pick(capability: ComputeCapability): string;
  /**
   * The image of a source for a target: an ELF file, or PTX as text.
   *
   * @throws QdyloraError UNSUPPORTED for an unknown source or target, BAD_FILE for damaged bytes
   */
  image(source: string, target: string): Uint8Array;
}

/** Where build-cubins.mjs writes: `prebuilt` of this package. */
const prebuiltFolder = (): string => packagePath('prebuilt');

/**
 * Opens the archive of compiled kernels.
 *
 * @throws QdyloraError MISSING_FILE, BAD_FILE
 * @example
 * const cubins = await openCubins();
 * const image = cubins.image('rms-norm', cubins.pick({ major: 8, minor: 6 }));
 */
export async function openCubins(folder = prebuiltFolder()): Promise<CubinArchive> {
  const [indexText, archive] = await Promise.all([
    readPrebuilt(folder, 'index.json'),
    readPrebuilt(folder, 'cubins.bin'),
  ]);
  const index = parseIndex(indexText.toString('utf8'), folder);
  const targets = [...new Set(index.images.map(({ target }) => target))];
  return {
    index,
    targets,
    pick: (capability) => pickTarget(targets, capability),
    image: (source, target) => unpack(index, archive, source, target),
  };
}

async function readPrebuilt(folder: string, name: string): Promise<Buffer> {
  try {
    return await readFile(join(folder, name));
  } catch (cause) {
    throw new QdyloraError('MISSING_FILE', {
      where: 'cuda',
      problem: `the compiled kernels cannot be read: ${join(folder, name)}`,
      nextStep: 'Reinstall the package, or run scripts/build-cubins.mjs in a clone of the repository.',
      cause,
    });
  }
}

function damaged(problem: string, cause?: unknown): QdyloraError {
  return new QdyloraError('BAD_FILE', {
    where: 'cuda',
    problem,
    nextStep: 'Reinstall the package, or run scripts/build-cubins.mjs in a clone of the repository.',
    cause,
  });
}

function parseIndex(text: string, folder: string): CubinIndex {
  try {
    const index = JSON.parse(text) as CubinIndex;
    if (Array.isArray(index.images)) return index;
  } catch (cause) {
    throw damaged(`${join(folder, 'index.json')} is not an index of compiled kernels`, cause);
  }
  throw damaged(`${join(folder, 'index.json')} has no images`);
}

function unpack(index: CubinIndex, archive: Uint8Array, source: string, target: string): Uint8Array {
  const entry = index.images.find((one) => one.source === source && one.target === target);
  if (!entry)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'cuda',
      problem: `there is no compiled kernel ${source} for ${target}`,
      nextStep: 'Run scripts/build-cubins.mjs after adding a kernel.',
    });
  const packed = archive.subarray(entry.offset, entry.offset + entry.packedBytes);
  const image = decompressed(packed, `${source} for ${target}`);
  if (createHash('sha256').update(image).digest('hex') !== entry.sha256)
    throw damaged(`the compiled kernel ${source} for ${target} does not have the checksum of the index`);
  return image;
}

function decompressed(packed: Uint8Array, name: string): Uint8Array {
  try {
    return brotliDecompressSync(packed);
  } catch (cause) {
    throw damaged(`the compiled kernel ${name} is damaged`, cause);
  }
}
