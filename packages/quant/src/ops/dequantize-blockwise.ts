import { hostData, bfloat16Array, defineOp, type ArrayView } from '@qdylora/contract';
import { decodeWeights } from './decode-weights.ts';
import {
  assertQuantized,
  QUANTIZED_INPUTS,
  type QuantizedAttributes,
  type QuantizedInputs,
} from './quantized-inputs.ts';

/** `valuesDtype`: default float32; for bfloat16 the float32 values are rounded once more. */
export type DequantizeAttributes = QuantizedAttributes & { readonly valuesDtype?: 'f32' | 'bf16' };

/**
 * values[r, c] = fl(levels[code] · scale), exact to the bit, with scale = absmax[b] or
 * fl(fl(nestedMap[absmaxCodes[b]] · nestedAbsmax[b div 256]) + nestedOffset).
 *
 * codes: [ceil(rows · cols / 2)], scales as in `QuantizedInputs`   →   values: [rows, cols]
 */
export const dequantizeBlockwise = defineOp({
  name: 'dequantize-blockwise',
  takes: QUANTIZED_INPUTS,
  shapes(inputs: QuantizedInputs, attributes: DequantizeAttributes) {
    assertQuantized('dequantize-blockwise', inputs, attributes);
    return { values: { dtype: attributes.valuesDtype ?? 'f32', shape: [attributes.rows, attributes.cols] } };
  },
  reference(inputs, { values }: { values: ArrayView<'f32'> | ArrayView<'bf16'> }, attributes) {
    const weights = decodeWeights(inputs, attributes);
    if (values.dtype === 'bf16') bfloat16Array(weights, hostData(values));
    else hostData(values).set(weights);
  },
});
