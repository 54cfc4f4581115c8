import type { Arrays } from '../arrays/array-view.ts';
import type { Op } from './op.ts';

/**
 * A frozen weight in a packed form, such as NF4: its arrays, its attributes, and the ops that multiply with
 * it and decode it. So a linear layer needs to know no packing.
 */
export interface PackedWeight {
  readonly kind: string;
  /** [out, in] */
  readonly shape: readonly [number, number];
  readonly byteLength: number;
  /** The inputs of `multiply` besides x. */
  readonly operands: Arrays;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly multiply: Op;
  readonly multiplyInputGradient: Op;
  /** operands → values: [out, in] float32, exactly the weights that the products use */
  readonly decode: Op;
}
