import type { Arrays } from '../arrays/array-view.ts';
import type { Op } from './op.ts';

/**
 * A frozen weight in a packed form, as a linear layer takes it: the arrays that its product op takes besides
 * x, its attributes, and the ops.
 */
export interface PackedWeight {
  readonly kind: string;
  /** [out, in] */
  readonly shape: readonly [number, number];
  readonly byteLength: number;
  readonly operands: Arrays;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly multiply: Op;
  readonly multiplyInputGradient: Op;
  /** operands → values: [out, in] float32, as the products see them */
  readonly decode: Op;
}
