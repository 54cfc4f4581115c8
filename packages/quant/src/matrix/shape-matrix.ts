import { byteLengthOf, elementCount, type ArrayView, type DType, type Shape } from '@qdylora/contract';
import { assertBlockSize, blockCount } from '../blocks/block-size.ts';
import type { QuantizationKind } from '../codebooks/levels-of.ts';
import { NESTED_BLOCK_SIZE } from '../blocks/double-quantize.ts';
import type { QuantizedMatrix } from './quantized-matrix.ts';
import type { QuantizeOptions } from '../quantize-4bit.ts';
import { fitsTiles } from './tile-order.ts';

/** Options of `shapeMatrix`: how the matrix is quantized, and how its arrays are made. */
export interface ShapeMatrixOptions extends QuantizeOptions {
  readonly kind: QuantizationKind;
  /** [rows, cols] */
  readonly shape: readonly [number, number];
  /** True to store codes and scales in tiles, if the matrix divides into whole tiles. */
  readonly tiled: boolean;
  /** Makes each array, in the order in which `moveToMemory` does. */
  readonly array: <D extends DType>(dtype: D, shape: Shape) => ArrayView<D>;
}

/** A quantized matrix of arrays without contents, for memory plans. */
export function shapeMatrix({
  kind,
  shape,
  blockSize = 64,
  doubleQuantization = true,
  tiled,
  array,
}: ShapeMatrixOptions): QuantizedMatrix {
  assertBlockSize(blockSize, 'shape-matrix');
  const weights = elementCount(shape);
  const blocks = blockCount(weights, blockSize);
  const codes = array('u8', [Math.ceil(weights / 2)]);
  const levels = array('f32', [16]);
  const absmax = doubleQuantization ? null : array('f32', [blocks]);
  const nested = doubleQuantization
    ? ({
        codes: array('u8', [blocks]),
        absmax: array('f32', [blockCount(blocks, NESTED_BLOCK_SIZE)]),
        map: array('f32', [256]),
        offset: 0,
        blockSize: NESTED_BLOCK_SIZE,
      } as const)
    : null;
  const byteLength = [codes, absmax, nested?.codes, nested?.absmax].reduce(
    (sum, view) => sum + (view ? byteLengthOf(view) : 0),
    0,
  );
  return {
    kind,
    shape,
    blockSize,
    codes,
    levels,
    absmax,
    doubleQuantized: nested,
    byteLength,
    bitsPerWeight: (8 * byteLength) / weights,
    tiled: tiled && fitsTiles(shape, blockSize),
  };
}
