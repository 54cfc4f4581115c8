import { hostData } from '@qdylora/contract';
import type { CpuBackend } from './create-cpu-backend.ts';

/**
 * Bytes of the array whose halves are copied. 64 MiB is more than the caches of a desktop processor. On a
 * server whose last-level cache is larger, the copy measures that cache.
 */
export const CEILING_BYTES = 64 * 2 ** 20;

/**
 * Measures the peak of this machine: GFLOP/s of float32 or bf16 multiply-adds with the instructions of the
 * level (bf16 in pairs, where it has those), or GB/s of a copy between two halves of 64 MiB.
 *
 * Each call of the result measures once, in a few milliseconds. Use the best of several, since cores may be
 * shared. Its memory belongs to the open scope.
 */
export function ceilingOf(backend: CpuBackend, quantity: 'f32' | 'bf16' | 'gbps'): () => number {
  const floats = quantity === 'gbps' ? CEILING_BYTES / 4 : backend.numThreads;
  const copied = backend.memory.allocate('f32', [floats]);
  const measure = backend.native(MEASUREMENTS[quantity]);
  const fallback = backend.native('fmaPeak');
  hostData(copied).fill(0);
  const isMeasured = measure(copied) > 0; // the first one is slow; 0 for bf16 without pairs
  return () => (isMeasured ? measure : fallback)(copied);
}

const MEASUREMENTS = { f32: 'fmaPeak', bf16: 'bf16Peak', gbps: 'copyBandwidth' } as const;
