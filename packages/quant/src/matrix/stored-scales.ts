import { f32View, viewOf } from '@qdylora/contract';
import { doubleQuantize, NESTED_BLOCK_SIZE } from '../blocks/double-quantize.ts';
import type { QuantizedParts } from './quantized-parts.ts';

/** Block scales in the form that a matrix stores: 8 bits each with double quantization, else float32. */
export function storedScales(
  scales: Float32Array,
  doubleQuantization: boolean,
): Pick<QuantizedParts, 'absmax' | 'doubleQuantized'> {
  if (!doubleQuantization) return { absmax: f32View([scales.length], scales), doubleQuantized: null };
  const { codes, absmax, map, offset } = doubleQuantize(scales);
  return {
    absmax: null,
    doubleQuantized: {
      codes: viewOf('u8', [codes.length], codes),
      absmax: f32View([absmax.length], absmax),
      map: f32View([map.length], map),
      offset,
      blockSize: NESTED_BLOCK_SIZE,
    },
  };
}
