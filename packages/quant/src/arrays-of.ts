import type { ArrayView } from '@qdylora/contract';
import type { QuantizedMatrix } from './nf4-matrix.ts';

/** Every array that a matrix consists of: what to release, or to keep. */
export const arraysOf = ({ codes, levels, absmax, doubleQuantized: nested }: QuantizedMatrix): ArrayView[] =>
  [codes, levels, absmax, nested?.codes, nested?.absmax, nested?.map].filter((view) => view != null);
