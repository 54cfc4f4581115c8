import { hostData } from '@qdylora/contract';
import type { CpuBackend } from './create-cpu-backend.ts';

/** Floats that a copy is measured on, so many that no cache holds them: 64 MiB. */
const COPIED_FLOATS = 1 << 24;

/**
 * What this machine can do at best: GFLOP/s of multiply-adds of float32 or bf16 numbers with the level's own
 * instructions (bf16 in pairs, where it has those), or GB/s of a copy between two halves of 64 MiB.
 * Each call of the result measures once, in some milliseconds; the best of several counts, since the cores
 * may be shared. Its memory belongs to the open scope.
 */
export function ceilingOf(backend: CpuBackend, what: 'f32' | 'bf16' | 'gbps'): () => number {
  const copied = backend.memory.allocate('f32', [what === 'gbps' ? COPIED_FLOATS : backend.numThreads]);
  const measure = backend.native(MEASUREMENTS[what]);
  const fallback = backend.native('fmaPeak');
  hostData(copied).fill(0);
  const hasPairs = measure(copied) > 0; // the first one is slow
  return () => (hasPairs ? measure : fallback)(copied);
}

const MEASUREMENTS = { f32: 'fmaPeak', bf16: 'bf16Peak', gbps: 'copyBandwidth' } as const;
