import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QdyloraError } from '@qdylora/contract';

/**
 * Loads a compiled addon of this platform.
 *
 * @throws QdyloraError UNSUPPORTED where there is none
 */
export function loadAddon(name: 'mpi' | 'nccl'): unknown {
  const path = join(packageFolder(), 'prebuilt', `${process.platform}-${process.arch}`, `${name}.node`);
  if (!existsSync(path))
    throw new QdyloraError('UNSUPPORTED', {
      where: 'collectives',
      problem: `There is no compiled addon of ${name} for ${process.platform} on ${process.arch}`,
      nextStep: 'Run `node scripts/build-addon.mjs` in the folder of @qdylora/collectives.',
    });
  return createRequire(import.meta.url)(path);
}

/** The nearest folder with a package.json, from `folder` up; the root if there is none. */
export function packageFolder(folder = dirname(fileURLToPath(import.meta.url))): string {
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}
