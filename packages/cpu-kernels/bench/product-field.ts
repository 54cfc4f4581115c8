import { ceilingOf, type CpuBackend } from '../src/index.ts';
import type { PrintRow } from './bench-row.ts';
import { COMPUTE, type Compute } from './placed-product.ts';
import type { Rivals } from './rivals/find-rivals.ts';

export const TURNS = { rounds: 7, turnSeconds: 4e-3, mostSeconds: 6 };

/** The backend and the rivals of a bench of products. */
export interface ProductField {
  readonly threads: number;
  readonly level: string | undefined;
  readonly rivals: Rivals;
  readonly print: PrintRow;
}

/** The peaks of this machine, measured once a round. */
export function ceilingsOf(backend: CpuBackend): Record<Compute, number[]> & { measure(): void } {
  const peaks = { f32: ceilingOf(backend, 'f32'), bf16: ceilingOf(backend, 'bf16') };
  const samples = { f32: [] as number[], bf16: [] as number[] };
  return { ...samples, measure: () => COMPUTE.forEach((compute) => samples[compute].push(peaks[compute]())) };
}
