import { InsufficientMemoryError, QdyloraError } from '@qdylora/contract';
import type { NativeAddon } from '../addon/addon-functions.ts';
import { availableBytes } from './available-bytes.ts';

/** A JavaScript buffer holds at most this many bytes (V8 in Node 20). */
const LARGEST_REGION = 2 ** 32 - 1;

/**
 * Regions of huge-page-friendly memory for `createHostMemory`. Asks first whether the system has the bytes:
 * Linux would grant them and kill the process later.
 */
export const reserveRegions = (addon: NativeAddon, available: () => number = availableBytes) => ({
  reserve(bytes: number): ArrayBuffer {
    if (bytes > LARGEST_REGION) refuseSize(bytes);
    const left = available();
    const buffer = bytes <= left ? addon.reserve(bytes) : undefined;
    if (!buffer) throw new InsufficientMemoryError(bytes, left, 'cpu');
    return buffer;
  },
  unreserve(buffer: ArrayBufferLike): void {
    addon.unreserve(buffer as ArrayBuffer);
  },
  discard(buffer: ArrayBufferLike, offset: number, bytes: number): void {
    addon.discard(buffer as ArrayBuffer, offset, bytes);
  },
});

function refuseSize(bytes: number): never {
  throw new QdyloraError('OUT_OF_MEMORY', {
    where: 'cpu',
    problem: `One array has ${bytes} bytes, but at most ${LARGEST_REGION} fit into a buffer of JavaScript`,
    nextStep: 'Use a smaller batch or sequence.',
    details: { requiredBytes: bytes, largestBytes: LARGEST_REGION },
  });
}
