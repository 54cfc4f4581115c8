import type { Shape } from '@qdylora/contract';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';
import { forEachStateBlock, type CodedState } from '@qdylora/tensor';

/** True for the state that averages squares of gradients, which are never negative. */
export const isMeanOfSquares = (kind: string): boolean => kind === 'v';

/** The 256 levels of an 8-bit state. */
export const mapOf = (kind: string): Float32Array =>
  isMeanOfSquares(kind) ? unsignedDynamicMap() : signedDynamicMap();

/** The values of an 8-bit state of shape [rows, columns]: map[code] · absmax of the block. */
export function decodeState(
  { codes, absmax, map }: Omit<CodedState, 'limits'>,
  shape: Shape,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(codes.length);
  forEachStateBlock(shape, ({ from, count, block }) => {
    for (let i = from; i < from + count; i++) values[i] = map[codes[i]] * absmax[block];
  });
  return values;
}
