import { hostData } from '@qdylora/contract';
import type { CpuBackend } from './create-cpu-backend.ts';

/** Floats of the measured copy: 64 MiB, more than any cache. */
const COPIED_FLOATS = 1 << 24;

/**
 * Measures the peak of this machine: GFLOP/s of float32 or bf16 multiply-adds with the instructions of the
 * level (bf16 in pairs, where it has those), or GB/s of a copy between two halves of 64 MiB.
 *
 * Each call of the result measures once, in a few milliseconds. Use the best of several, since cores may be
 * shared. Its memory belongs to the open scope.
 */
export function ceilingOf(backend: CpuBackend, quantity: 'f32' | 'bf16' | 'gbps'): () => number {
  const copied = backend.memory.allocate('f32', [quantity === 'gbps' ? COPIED_FLOATS : backend.numThreads]);
  const measure = backend.native(MEASUREMENTS[quantity]);
  const fallback = backend.native('fmaPeak');
  hostData(copied).fill(0);
  const hasPairs = measure(copied) > 0; // the first one is slow
  return () => (hasPairs ? measure : fallback)(copied);
}

const MEASUREMENTS = { f32: 'fmaPeak', bf16: 'bf16Peak', gbps: 'copyBandwidth' } as const;
