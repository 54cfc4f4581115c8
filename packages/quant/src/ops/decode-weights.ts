import { hostData } from '@qdylora/contract';
import { decodedScale } from '../blocks/double-quantize.ts';
import { blockCount } from '../blocks/block-size.ts';
import { fromTiles } from '../matrix/tile-order.ts';
import type { QuantizedAttributes, QuantizedInputs } from './quantized-inputs.ts';

/** The float32 scale of every block, in row-major order.  → [blocks] */
export function decodeScales(
  inputs: QuantizedInputs,
  { rows, cols, blockSize, nestedOffset, tiled }: QuantizedAttributes,
): Float32Array {
  const blocks = blockCount(rows * cols, blockSize);
  const { absmax, absmaxCodes, nestedAbsmax, nestedMap } = tiled
    ? rowMajorInputs(inputs, [rows, cols])
    : inputs;
  if (absmax) return hostData(absmax).slice(0, blocks);
  const nested = {
    codes: hostData(absmaxCodes!),
    absmax: hostData(nestedAbsmax!),
    map: hostData(nestedMap!),
    offset: nestedOffset,
  };
  return Float32Array.from({ length: blocks }, (_, block) => decodedScale(nested, block));
}

/** Every weight: level · scale, rounded once to float32.  → [rows · cols] */
export function decodeWeights(inputs: QuantizedInputs, attributes: QuantizedAttributes): Float32Array {
  const scales = decodeScales(inputs, attributes);
  const packed = hostData(
    (attributes.tiled ? rowMajorInputs(inputs, [attributes.rows, attributes.cols]) : inputs).codes,
  );
  const levels = hostData(inputs.levels);
  const { blockSize } = attributes;
  const weights = new Float32Array(attributes.rows * attributes.cols);
  for (let block = 0; block < scales.length; block++) {
    const scale = scales[block];
    const end = Math.min((block + 1) * blockSize, weights.length);
    for (let i = block * blockSize; i < end; i += 2) {
      const pair = packed[i >>> 1];
      weights[i] = levels[pair >> 4] * scale;
      if (i + 1 < end) weights[i + 1] = levels[pair & 15] * scale;
    }
  }
  return weights;
}

/** The arrays of a tiled matrix in row-major order. */
const rowMajorInputs = (inputs: QuantizedInputs, shape: readonly [number, number]): QuantizedInputs => ({
  ...inputs,
  codes: fromTiles(inputs.codes, shape, 'codes'),
  absmax: inputs.absmax && fromTiles(inputs.absmax, shape, 'scales'),
  absmaxCodes: inputs.absmaxCodes && fromTiles(inputs.absmaxCodes, shape, 'scales'),
});
