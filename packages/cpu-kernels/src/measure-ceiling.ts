import type { CpuBackend } from './create-cpu-backend.ts';

/** Floats that a copy is measured on, so many that no cache holds them: 64 MiB. */
const COPIED_FLOATS = 1 << 24;

/**
 * What this machine can do at best: GFLOP/s of float32 multiply-adds with the level's own instructions, or GB/s of a copy between two halves of 64 MiB.
 * Each call of the result measures once, in some milliseconds; the best of several counts, since the cores may be shared. Its memory belongs to the open scope.
 */
export function ceilingOf(backend: CpuBackend, what: 'gflops' | 'gbps'): () => number {
  const { data } = backend.memory.allocate('f32', [what === 'gflops' ? backend.threads : COPIED_FLOATS]), call = backend.native(what === 'gflops' ? 'fmaPeak' : 'copyBandwidth');
  data.fill(0);
  call(data); // the first one is slow
  return () => call(data);
}
