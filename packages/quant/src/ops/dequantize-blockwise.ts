import {
  defineOp,
  hostData,
  isHalfDType,
  narrowHalves,
  type FloatDType,
  type FloatView,
} from '@qdylora/contract';
import { decodeWeights } from './decode-weights.ts';
import {
  assertQuantized,
  QUANTIZED_INPUTS,
  type QuantizedAttributes,
  type QuantizedInputs,
} from './quantized-inputs.ts';

/** `valuesDtype`: default float32; for others the float32 values are rounded once more. */
export type DequantizeAttributes = QuantizedAttributes & { readonly valuesDtype?: FloatDType };

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
  reference(inputs, { values }: { values: FloatView }, attributes) {
    const weights = decodeWeights(inputs, attributes);
    if (isHalfDType(values.dtype)) narrowHalves(values.dtype, weights, hostData(values) as Uint16Array);
    else hostData(values).set(weights);
  },
});
