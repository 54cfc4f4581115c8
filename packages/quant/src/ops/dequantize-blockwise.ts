import { defineOp, type ArrayView } from '@qdylora/contract';
import { decodeWeights } from './decode-weights.ts';
import { assertQuantized, type QuantizedAttributes, type QuantizedInputs } from './quantized-inputs.ts';

/**
 * values[r, c] = fl(levels[code] · scale), with scale = absmax[b], or fl(fl(nestedMap[absmaxCodes[b]] · nestedAbsmax[b div 256]) + nestedOffset); exact to the bit.
 * codes: [ceil(rows · cols / 2)], scales as in `QuantizedInputs`  →  values: [rows, cols]
 */
export const dequantizeBlockwise = defineOp({
  name: 'dequantize-blockwise',
  shapes(inputs: QuantizedInputs, attributes: QuantizedAttributes) {
    assertQuantized('dequantize-blockwise', inputs, attributes);
    return { values: { dtype: 'f32', shape: [attributes.rows, attributes.cols] } };
  },
  reference(inputs, { values }: { values: ArrayView<'f32'> }, attributes) {
    values.data.set(decodeWeights(inputs, attributes));
  },
});
