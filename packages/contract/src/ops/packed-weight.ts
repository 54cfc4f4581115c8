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
  /** Of all arrays, those of other quantization levels included. */
  readonly byteLength: number;
  /** The inputs of `multiply` besides x. */
  readonly operands: Arrays;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly multiply: Op;
  readonly multiplyInputGradient: Op;
  /** operands → values: [out, in] float32, exactly the weights that the products use */
  readonly decode: Op;
  /** A second packed matrix that belongs to the weight: W is the sum of both. */
  readonly residual?: PackedWeight;
  /** The same weight at other quantization levels, by bits a weight. They share its arrays. */
  readonly otherLevels?: ReadonlyMap<number, PackedWeight>;
}
