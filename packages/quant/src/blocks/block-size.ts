import { QdyloraError } from '@qdylora/contract';

/** Numbers of weights that may share a scale: the sizes that bitsandbytes supports. */
export const BLOCK_SIZES: readonly number[] = [32, 64, 128, 256, 512, 1024, 2048, 4096];

/** Number of blocks of a flat array; the last one may be short. */
export const blockCount = (elements: number, blockSize: number): number => Math.ceil(elements / blockSize);

/** @throws QdyloraError UNSUPPORTED for a size that is not in BLOCK_SIZES */
export function assertBlockSize(blockSize: number, where: string): void {
  if (BLOCK_SIZES.includes(blockSize)) return;
  throw new QdyloraError('UNSUPPORTED', {
    where,
    problem: `the block size must be one of ${BLOCK_SIZES.join(', ')} (got ${blockSize})`,
    details: { blockSize },
  });
}
