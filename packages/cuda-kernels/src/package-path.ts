import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A path inside this package: `packagePath('prebuilt', 'index.json')`. */
export const packagePath = (...names: string[]): string =>
  join(dirname(createRequire(import.meta.url).resolve('@qdylora/cuda-kernels/package.json')), ...names);
