import { decodedScale } from '../double-quantize.ts';
import { blockCount } from '../block-size.ts';
import type { QuantizedAttributes, QuantizedInputs } from './quantized-inputs.ts';

/** The float32 scale of every block.  → [blocks] */
export function decodeScales({ absmax, absmaxCodes, nestedAbsmax, nestedMap }: QuantizedInputs, { rows, cols, blockSize, nestedOffset }: QuantizedAttributes): Float32Array {
  const blocks = blockCount(rows * cols, blockSize);
  if (absmax) return absmax.data.slice(0, blocks);
  const nested = { codes: absmaxCodes!.data, absmax: nestedAbsmax!.data, map: nestedMap!.data, offset: nestedOffset };
  return Float32Array.from({ length: blocks }, (_, block) => decodedScale(nested, block));
}

/** Every weight: level · scale, rounded once to float32.  → [rows · cols] */
export function decodeWeights(inputs: QuantizedInputs, attributes: QuantizedAttributes): Float32Array {
  const scales = decodeScales(inputs, attributes), packed = inputs.codes.data, levels = inputs.levels.data, { blockSize } = attributes;
  const weights = new Float32Array(attributes.rows * attributes.cols);
  for (let block = 0; block < scales.length; block++) {
    const scale = scales[block]!, end = Math.min((block + 1) * blockSize, weights.length);
    for (let i = block * blockSize; i < end; i += 2) {
      const pair = packed[i >>> 1]!;
      weights[i] = levels[pair >> 4]! * scale;
      if (i + 1 < end) weights[i + 1] = levels[pair & 15]! * scale;
    }
  }
  return weights;
}
