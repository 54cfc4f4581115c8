import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QdyloraError } from '@qdylora/contract';
import type { NumberArray, SentArray } from '../communicator.ts';

/** The functions of native/addon.cpp. */
export interface MpiAddon {
  open(library: string, abi: number): OpenedWorld;
  allReduce(values: NumberArray, reduction: number): Promise<void>;
  broadcast(values: SentArray, root: number): Promise<void>;
  allGather(part: SentArray, all: SentArray): Promise<void>;
  allToAll(parts: SentArray, received: SentArray): Promise<void>;
  barrier(): Promise<void>;
  finalize(): void;
  abort(status: number): void;
}

export interface OpenedWorld {
  readonly rank: number;
  readonly size: number;
  /** 1 where other threads than the first may call MPI, one at a time. */
  readonly threads: 0 | 1;
  readonly version: string;
}

/**
 * Loads the compiled addon of this platform.
 *
 * @throws QdyloraError UNSUPPORTED where there is none
 */
export function loadMpiAddon(): MpiAddon {
  const path = join(packageFolder(), 'prebuilt', `${process.platform}-${process.arch}`, 'mpi.node');
  if (!existsSync(path))
    throw new QdyloraError('UNSUPPORTED', {
      where: 'collectives',
      problem: `There is no compiled MPI addon for ${process.platform} on ${process.arch}`,
      nextStep: 'Run `node scripts/build-addon.mjs` in the folder of @qdylora/collectives.',
    });
  return createRequire(import.meta.url)(path) as MpiAddon;
}

/** The folder of this package: above `src/mpi` or `dist`. */
function packageFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder))
    if (existsSync(join(folder, 'package.json'))) return folder;
}
