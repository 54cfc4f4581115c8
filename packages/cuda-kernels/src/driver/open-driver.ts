import { QdyloraError } from '@qdylora/contract';
import type { CudaDriver } from '../addon/addon-functions.ts';
import { loadAddon } from '../addon/load-addon.ts';
import { withCudaErrors } from './cuda-error.ts';

/** Options of `openDriver`: where the driver's library and the addon are. */
export interface OpenDriverOptions {
  /** The driver's library: a path, or a name that the system's loader finds. Default: `libcuda.so.1`. */
  readonly libraryPath?: string;
  /** The addon's file, instead of looking for it. */
  readonly addonPath?: string;
}

/** R525, the oldest driver that the kernels and the calls of this package work with, knows CUDA 12.0. */
const OLDEST_DRIVER = { name: 'R525', cuda: 12000 };

/** 12090 → `12.9`. */
export const cudaVersionText = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;

const tooOld = (problem: string): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'cuda',
    problem: `the NVIDIA driver is too old: ${problem}`,
    nextStep:
      `Update it to ${OLDEST_DRIVER.name} (CUDA ${cudaVersionText(OLDEST_DRIVER.cuda)}) or newer, ` +
      'or use the cpu backend.',
  });

/**
 * Opens and initializes the driver. Each call of it throws errors of ours.
 *
 * @throws QdyloraError UNSUPPORTED in one line where there is no addon, no driver, one that is too old, or no
 * GPU
 */
export function openDriver({ libraryPath = 'libcuda.so.1', addonPath }: OpenDriverOptions = {}): CudaDriver {
  const { failure, missing, ...calls } = loadAddon(addonPath).open(libraryPath);
  if (failure)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'cuda',
      problem: `there is no NVIDIA driver here (${failure})`,
      nextStep: 'Install the driver of the GPU, or use the cpu backend.',
      details: { hasDriver: false },
    });
  if (missing) throw tooOld(`its library lacks ${missing}`);
  const driver = withCudaErrors<CudaDriver>(calls);
  const version = driver.cuDriverGetVersion();
  if (version < OLDEST_DRIVER.cuda) throw tooOld(`it knows CUDA ${cudaVersionText(version)}`);
  driver.cuInit(0);
  return driver;
}
