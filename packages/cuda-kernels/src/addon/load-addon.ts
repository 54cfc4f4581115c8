import { createRequire } from 'node:module';
import { QdyloraError } from '@qdylora/contract';
import { packagePath } from '../package-path.ts';
import type { CudaAddon } from './addon-functions.ts';

/** The platform's package, then the local build of this package. */
const candidates = (): string[] => [
  `@qdylora/cuda-kernels-${process.platform}-${process.arch}-gnu`,
  packagePath('addon', 'build', 'qdylora_cuda.node'),
];

/**
 * Loads the native addon, which opens the driver.
 *
 * @throws QdyloraError UNSUPPORTED with the reason where there is none
 */
export function loadAddon(path?: string): CudaAddon {
  const require = createRequire(import.meta.url);
  const paths = path ? [path] : candidates();
  const reasons: string[] = [];
  for (const candidate of paths)
    try {
      const addon = require(candidate) as Partial<CudaAddon>;
      if (typeof addon.open === 'function') return addon as CudaAddon;
      reasons.push(`${candidate} is not the addon of this package`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'MODULE_NOT_FOUND') reasons.push(message);
    }
  throw new QdyloraError('UNSUPPORTED', {
    where: 'cuda',
    problem:
      reasons.length > 0
        ? `the native addon could not be loaded: ${reasons.join('; ')}`
        : `there is no native addon for ${process.platform}-${process.arch} (looked at ${paths.join(', ')})`,
    nextStep:
      'Build it with `node scripts/build-addon.mjs` in the package @qdylora/cuda-kernels (needs Linux and ' +
      'g++ or clang++), or use the cpu backend.',
    details: { hasDriver: false },
  });
}
